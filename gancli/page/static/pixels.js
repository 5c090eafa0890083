// Generated pixels, and generated numbers, on canvases.

/** What the server sent: { shape, data }, of images (N, H, W, C) in bytes, of numbers (N, width) in floats. */
export function decoded({ headers, data }) {
  const shape = headers.get("x-shape").split(",").map(Number);
  return { shape, data: shape.length === 4 ? new Uint8Array(data) : new Float32Array(data) };
}

/** One of several, by its position. */
export function one({ shape, data }, index) {
  const size = data.length / shape[0];
  return { shape: [1, ...shape.slice(1)], data: data.subarray(index * size, (index + 1) * size) };
}

/** Draw the first of what the server sent. */
export function paint(canvas, made, facts) {
  if (facts.numbers) plot(canvas, facts.formula, [made.data]);
  else picture(canvas, made);
}

function picture(canvas, { shape: [, height, width, channels], data }) {
  // Setting a size clears the canvas, which would flicker.
  if (canvas.width !== width) canvas.width = width;
  if (canvas.height !== height) canvas.height = height;
  const drawn = new ImageData(width, height);
  const colours = channels >= 3;
  for (let pixel = 0, from = 0; pixel < width * height; pixel++, from += channels) {
    const to = 4 * pixel;
    drawn.data[to] = data[from];
    drawn.data[to + 1] = data[colours ? from + 1 : from];
    drawn.data[to + 2] = data[colours ? from + 2 : from];
    drawn.data[to + 3] = channels === 4 ? data[from + 3] : 255;
  }
  canvas.getContext("2d").putImageData(drawn, 0, 0);
}

const SIDE = 320;

/** Draw rows of numbers, curves or points of the plane, over real ones. */
export function plot(canvas, formula, rows, faint = null) {
  if (canvas.width !== SIDE) canvas.width = canvas.height = SIDE;
  const context = canvas.getContext("2d");
  const style = getComputedStyle(canvas);
  const colour = (name) => style.getPropertyValue(name);
  const [low, high] = formula.limits;
  const along = formula.x ? [-1, 1] : formula.limits;
  const x = (value) => 8 + ((SIDE - 16) * (value - along[0])) / (along[1] - along[0]);
  const y = (value) => 8 + ((SIDE - 16) * (high - value)) / (high - low);
  const line = (points) => {
    context.beginPath();
    points.forEach(([a, b], index) => context[index ? "lineTo" : "moveTo"](x(a), y(b)));
    context.stroke();
  };
  const dots = (points, radius) => points.forEach(([a, b]) => {
    context.beginPath();
    context.arc(x(a), y(b), radius, 0, 2 * Math.PI);
    context.fill();
  });
  context.clearRect(0, 0, SIDE, SIDE);
  context.lineJoin = "round";
  context.strokeStyle = context.fillStyle = colour("--real");
  if (formula.x) {
    context.lineWidth = 3;
    context.setLineDash([8, 6]);
    line(formula.real);
    context.setLineDash([]);
    context.strokeStyle = colour("--accent");
    context.lineWidth = 4;
    rows.forEach((row) => line(Array.from(row, (value, index) => [formula.x[index], value])));
    return;
  }
  dots(formula.real, 1.5);
  context.fillStyle = colour("--accent");
  context.globalAlpha = 0.35;
  if (faint) dots(faint, 2);
  context.globalAlpha = 1;
  dots(rows, 8);
}

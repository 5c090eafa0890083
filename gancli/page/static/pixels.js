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

/** Rows of numbers. */
export function rows(made) {
  return Array.from({ length: made.shape[0] }, (_, index) => one(made, index).data);
}

/** Draw the first of what the server sent; a point of the plane with others around it, where there are some. */
export function paint(canvas, made, facts, around = null) {
  if (facts.numbers) plot(canvas, facts.formula, [one(made, 0).data], around);
  else picture(canvas, made);
}

function picture(canvas, { shape: [, height, width, channels], data }) {
  canvas.classList.remove("plot");
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

const SIDE = 480;

/** Draw rows of numbers, curves or points of the plane, over real ones. */
export function plot(canvas, formula, rows, faint = null) {
  canvas.classList.add("plot");
  if (canvas.width !== SIDE) canvas.width = canvas.height = SIDE;
  const context = canvas.getContext("2d");
  const style = getComputedStyle(canvas);
  const colour = (name) => style.getPropertyValue(name);
  const [low, high] = formula.limits;
  const along = formula.x ? [-1, 1] : formula.limits;
  const x = (value) => 12 + ((SIDE - 24) * (value - along[0])) / (along[1] - along[0]);
  const y = (value) => 12 + ((SIDE - 24) * (high - value)) / (high - low);
  const line = (points) => {
    context.beginPath();
    points.forEach(([a, b], index) => context[index ? "lineTo" : "moveTo"](x(a), y(b)));
    context.stroke();
  };
  const dots = (points, radius) => {
    context.beginPath(); // one path for all: hundreds of them would take longer than the numbers
    for (const [a, b] of points) {
      context.moveTo(x(a) + radius, y(b));
      context.arc(x(a), y(b), radius, 0, 2 * Math.PI);
    }
    context.fill();
  };
  context.clearRect(0, 0, SIDE, SIDE);
  context.lineJoin = "round";
  context.strokeStyle = context.fillStyle = colour("--real");
  if (formula.x) {
    context.lineWidth = 4.5;
    context.setLineDash([8, 6]);
    line(formula.real);
    context.setLineDash([]);
    context.strokeStyle = colour("--accent");
    context.lineWidth = 6;
    rows.forEach((row) => line(Array.from(row, (value, index) => [formula.x[index], value])));
    return;
  }
  dots(formula.real, 3.5);
  context.fillStyle = colour("--accent");
  context.globalAlpha = 0.35;
  if (faint) dots(faint, 4.5);
  context.globalAlpha = 1;
  dots(rows, rows.length > 1 ? 5 : 15);
}

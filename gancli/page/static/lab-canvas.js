// The plane of the lab: D's opinion as colours, G's bent grid, real points, fakes and what pulls at them.

import { make } from "./parts.js";

/** Numbers of a type from base64. */
export function unpacked(text, Type) {
  const bytes = Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
  return new Type(bytes.buffer);
}

const REACH = 0.25; // share of the plane that an arrow of length 1 in the loss's units takes
const LONGEST = 0.12; // and that any arrow takes at most

/** The canvas with `draw(frame, real, layers, stage)`, and for drawing data, `sketch`. */
export function plane() {
  const canvas = make("canvas", { class: "plane", role: "img", tabindex: "0" });
  const heat = document.createElement("canvas");
  let shown = null;

  function draw(...now) {
    shown = now;
    paint();
  }

  function begin() {
    const side = canvas.getBoundingClientRect().width;
    const scale = devicePixelRatio || 1;
    if (canvas.width !== Math.round(side * scale)) canvas.width = canvas.height = Math.round(side * scale);
    const context = canvas.getContext("2d");
    context.setTransform(scale, 0, 0, scale, 0, 0);
    const style = getComputedStyle(canvas);
    const colours = Object.fromEntries(["real", "fake", "neutral", "arrow", "ring"].map((name) => [name, style.getPropertyValue(`--${name}`).trim()]));
    context.fillStyle = colours.neutral;
    context.fillRect(0, 0, side, side);
    return { context, side, colours };
  }

  function paint() {
    if (!shown) return;
    const [frame, real, layers] = shown;
    const { context, side, colours } = begin();
    if (!side) return;
    const at = placing(real.limits, side);
    if (layers.opinion && frame) drawOpinion(context, side, heat, frame, colours);
    if (layers.manifold && frame) drawManifold(context, at, frame.manifold, colours.fake);
    if (layers.real) drawReal(context, at, real.points, colours);
    if (layers.arrows && frame) drawArrows(context, at, side, frame, colours.arrow);
    if (layers.fakes && frame) drawFakes(context, at, frame.fakes, colours);
  }

  const observer = new ResizeObserver(paint);
  observer.observe(canvas);
  const scheme = matchMedia("(prefers-color-scheme: dark)");
  scheme.addEventListener("change", paint);
  return { canvas, draw, begin, close: () => { observer.disconnect(); scheme.removeEventListener("change", paint); } };
}

/** From coordinates of the data to those of the canvas. */
export function placing([low, high], side) {
  const scale = side / (high - low);
  return { x: (value) => (value - low) * scale, y: (value) => side - (value - low) * scale };
}

const parts = (colour) => [1, 3, 5].map((start) => parseInt(colour.slice(start, start + 2), 16));

function drawOpinion(context, side, heat, frame, colours) {
  const cells = Math.sqrt(frame.opinion.length);
  heat.width = heat.height = cells;
  const paint = heat.getContext("2d");
  const image = paint.createImageData(cells, cells);
  const [real, fake] = [parts(colours.real), parts(colours.fake)];
  frame.opinion.forEach((value, index) => {
    const signed = value / 127.5 - 1;
    image.data.set(signed > 0 ? real : fake, 4 * index);
    image.data[4 * index + 3] = 105 * Math.abs(signed);
  });
  paint.putImageData(image, 0, 0);
  context.imageSmoothingEnabled = true;
  context.imageSmoothingQuality = "high";
  context.drawImage(heat, 0, 0, side, side);
}

/** Cells of the grid are the darker the smaller they are: every one holds the same share of G's points. */
function drawManifold(context, at, points, colour) {
  const lines = Math.round(Math.sqrt(points.length / 2));
  const x = (row, column) => at.x(points[2 * (row * lines + column)]);
  const y = (row, column) => at.y(points[2 * (row * lines + column) + 1]);
  context.fillStyle = context.strokeStyle = colour;
  for (let row = 0; row + 1 < lines; row += 1) {
    for (let column = 0; column + 1 < lines; column += 1) {
      const corners = [[row, column], [row, column + 1], [row + 1, column + 1], [row + 1, column]].map(([r, c]) => [x(r, c), y(r, c)]);
      let area = 0;
      corners.forEach(([px, py], index) => {
        const [qx, qy] = corners[(index + 1) % 4];
        area += (px * qy - qx * py) / 2;
      });
      context.globalAlpha = Math.min(0.45, 14 / (Math.abs(area) + 30));
      context.beginPath();
      corners.forEach(([px, py], index) => (index ? context.lineTo(px, py) : context.moveTo(px, py)));
      context.fill();
    }
  }
  context.globalAlpha = 0.55;
  context.lineWidth = 0.8;
  context.beginPath();
  for (let first = 0; first < lines; first += 1) {
    for (let second = 0; second < lines; second += 1) {
      const name = second ? "lineTo" : "moveTo";
      context[name](x(first, second), y(first, second));
    }
    for (let second = 0; second < lines; second += 1) {
      const name = second ? "lineTo" : "moveTo";
      context[name](x(second, first), y(second, first));
    }
  }
  context.stroke();
  context.globalAlpha = 1;
}

export function drawReal(context, at, points, colours) {
  context.fillStyle = colours.real;
  context.globalAlpha = 0.75;
  for (let index = 0; index < points.length; index += 2) {
    context.beginPath();
    context.arc(at.x(points[index]), at.y(points[index + 1]), 2, 0, 7);
    context.fill();
  }
  context.globalAlpha = 1;
}

/** Fakes are diamonds with a rim, real points are dots: the shape tells them apart as well. */
function drawFakes(context, at, points, colours) {
  context.fillStyle = colours.fake;
  context.strokeStyle = colours.ring;
  context.lineWidth = 1;
  for (let index = 0; index < points.length; index += 2) {
    const [x, y] = [at.x(points[index]), at.y(points[index + 1])];
    context.beginPath();
    context.moveTo(x, y - 4);
    context.lineTo(x + 4, y);
    context.lineTo(x, y + 4);
    context.lineTo(x - 4, y);
    context.closePath();
    context.fill();
    context.stroke();
  }
}

function drawArrows(context, at, side, frame, colour) {
  context.strokeStyle = context.fillStyle = colour;
  context.lineWidth = 1;
  context.globalAlpha = 0.8;
  for (let index = 0; index < frame.fakes.length; index += 2) {
    const [dx, dy] = [frame.arrows[index], -frame.arrows[index + 1]];
    const norm = Math.hypot(dx, dy);
    const length = side * Math.min(LONGEST, REACH * norm);
    if (length < 1.5) continue;
    const [x, y] = [at.x(frame.fakes[index]), at.y(frame.fakes[index + 1])];
    const [ux, uy] = [dx / norm, dy / norm];
    const [endX, endY] = [x + length * ux, y + length * uy];
    const head = Math.min(5, length / 2);
    context.beginPath();
    context.moveTo(x, y);
    context.lineTo(endX, endY);
    context.moveTo(endX - head * (ux - 0.6 * uy), endY - head * (uy + 0.6 * ux));
    context.lineTo(endX, endY);
    context.lineTo(endX - head * (ux + 0.6 * uy), endY - head * (uy - 0.6 * ux));
    context.stroke();
  }
  context.globalAlpha = 1;
}

// Line plots on a canvas, for every view: axes with few round numbers, a legend of text, values under the pointer.

import { make } from "./parts.js";

/** Colours that differ in lightness too, so that they can be told apart without hue; and dashes beside them. */
export const LINES = [
  ["--line-1", []], ["--line-2", [7, 4]], ["--line-3", [2, 3]], ["--line-4", [10, 3, 2, 3]],
  ["--line-5", [5, 2]], ["--line-6", [1, 2]], ["--line-7", [12, 4]], ["--line-8", [4, 4, 1, 4]],
];

export const short = (value) => {
  if (value === null || value === undefined || !Number.isFinite(value)) return "–";
  const size = Math.abs(value);
  if (size >= 1e9) return `${(value / 1e9).toPrecision(3)}G`;
  if (size >= 1e6) return `${(value / 1e6).toPrecision(3)}M`;
  if (size >= 1e4) return `${Math.round(value / 1e3)}k`;
  if (size !== 0 && size < 1e-3) return value.toExponential(1);
  return `${+value.toPrecision(3)}`;
};

/** About `count` round numbers between two values. */
export function ticks(low, high, count) {
  const step = (high - low) / count;
  const unit = 10 ** Math.floor(Math.log10(step));
  const round = [1, 2, 5, 10].map((each) => each * unit).find((each) => each >= step * 0.999);
  const found = [];
  for (let value = Math.ceil(low / round) * round; value <= high + round * 1e-6; value += round) found.push(+value.toPrecision(12));
  return found;
}

function range(values) {
  let low = Infinity;
  let high = -Infinity;
  for (const value of values) {
    if (value < low) low = value;
    if (value > high) high = value;
  }
  if (low > high) return [0, 1];
  return low === high ? [low - 0.5, high + 0.5] : [low, high];
}

/**
 * A plot with its title and legend.
 *
 * `draw(lines, { x, y })` draws lines, each { label, points: [[x, y], …], colour, dash, marks }, where a y of null is a
 * gap. `x` is the name of the horizontal axis, `y` a pair of limits or nothing.
 */
export function plot(title, note = "") {
  const canvas = make("canvas", { role: "img" });
  const legend = make("p", { class: "legend" });
  const element = make("figure", { class: "plot" },
    make("figcaption", {}, make("h3", {}, title), note ? make("p", { class: "note" }, note) : null), legend, canvas);
  let now = { lines: [], options: {} };
  let pointer = null;

  function draw(lines, options = {}) {
    now = { lines, options };
    paint();
  }

  function paint() {
    const { lines, options } = now;
    const style = getComputedStyle(canvas);
    const box = canvas.getBoundingClientRect();
    if (!box.width) return;
    const scale = devicePixelRatio || 1;
    if (canvas.width !== Math.round(box.width * scale) || canvas.height !== Math.round(box.height * scale)) {
      [canvas.width, canvas.height] = [Math.round(box.width * scale), Math.round(box.height * scale)];
    }
    const context = canvas.getContext("2d");
    context.setTransform(scale, 0, 0, scale, 0, 0);
    context.clearRect(0, 0, box.width, box.height);
    const all = lines.flatMap((line) => line.points).filter(([, value]) => Number.isFinite(value));
    const [left, right] = range(all.map(([at]) => at));
    const [low, high] = options.y ?? padded(range(all.map(([, value]) => value)));
    const area = { left: 44, right: box.width - 8, top: 8, bottom: box.height - 22 };
    const atX = (value) => area.left + ((value - left) / (right - left)) * (area.right - area.left);
    const atY = (value) => area.bottom - ((value - low) / (high - low)) * (area.bottom - area.top);
    axes(context, style, area, { left, right, low, high, atX, atY, name: options.x ?? "" });
    context.save();
    context.beginPath();
    context.rect(area.left, area.top - 2, area.right - area.left, area.bottom - area.top + 4);
    context.clip();
    lines.forEach((line, index) => stroke(context, style, line, index, atX, atY));
    context.restore();
    const shown = pointer === null || !all.length ? null : left + ((pointer - area.left) / (area.right - area.left)) * (right - left);
    if (shown !== null && shown >= left && shown <= right) {
      context.strokeStyle = style.getPropertyValue("--quiet");
      context.beginPath();
      context.moveTo(pointer, area.top);
      context.lineTo(pointer, area.bottom);
      context.stroke();
    }
    tell(lines, shown, options);
  }

  function tell(lines, shown, options) {
    const words = lines.map((line) => {
      const value = shown === null ? last(line.points) : nearest(line.points, shown);
      return `${line.label} ${short(value)}`;
    });
    legend.replaceChildren(...lines.map((line, index) => make("span", {
      class: `key line-${(line.colour ?? index) % 8 + 1} ${line.dash ? (line.dash.length ? "dashed" : "solid") : ""}`,
    }, words[index])));
    if (shown !== null) legend.append(make("span", { class: "note" }, `at ${short(shown)} ${options.x ?? ""}`));
    canvas.setAttribute("aria-label", `${title}: ${words.join(", ") || "nothing yet"}`);
  }

  canvas.addEventListener("pointermove", (event) => { pointer = event.offsetX; paint(); });
  canvas.addEventListener("pointerleave", () => { pointer = null; paint(); });
  const observer = new ResizeObserver(paint);
  observer.observe(canvas);
  const scheme = matchMedia("(prefers-color-scheme: dark)");
  scheme.addEventListener("change", paint);
  return { element, draw, close: () => { observer.disconnect(); scheme.removeEventListener("change", paint); } };
}

function padded([low, high]) {
  const margin = 0.06 * (high - low);
  return [low - margin, high + margin];
}

function axes(context, style, area, { left, right, low, high, atX, atY, name }) {
  context.font = `11px ${style.fontFamily}`;
  context.fillStyle = style.getPropertyValue("--quiet");
  context.strokeStyle = style.getPropertyValue("--line");
  context.lineWidth = 1;
  context.textAlign = "right";
  context.textBaseline = "middle";
  for (const value of ticks(low, high, Math.max(2, (area.bottom - area.top) / 40))) {
    context.beginPath();
    context.moveTo(area.left, Math.round(atY(value)) + 0.5);
    context.lineTo(area.right, Math.round(atY(value)) + 0.5);
    context.stroke();
    context.fillText(short(value), area.left - 6, atY(value));
  }
  context.textBaseline = "top";
  const labels = ticks(left, right, Math.max(1, (area.right - area.left) / 80));
  labels.forEach((value, index) => {
    context.textAlign = index === labels.length - 1 && atX(value) > area.right - 30 ? "right" : "center";
    context.fillText(index === labels.length - 1 && name ? `${short(value)} ${name}` : short(value),
      Math.min(atX(value), area.right), area.bottom + 7);
  });
}

function stroke(context, style, line, index, atX, atY) {
  const [colour, dash] = LINES[(line.colour ?? index) % LINES.length];
  context.strokeStyle = context.fillStyle = style.getPropertyValue(colour);
  context.lineWidth = 1.75;
  context.setLineDash(line.dash ?? dash);
  context.lineJoin = "round";
  context.beginPath();
  let pen = false;
  for (const [x, y] of line.points) {
    if (!Number.isFinite(y)) { pen = false; continue; }
    if (pen) context.lineTo(atX(x), atY(y));
    else context.moveTo(atX(x), atY(y));
    pen = true;
  }
  context.stroke();
  context.setLineDash([]);
  if (line.marks || line.points.length === 1) {
    for (const [x, y] of line.points.filter(([, value]) => Number.isFinite(value))) {
      context.beginPath();
      context.arc(atX(x), atY(y), 3, 0, 7);
      context.fill();
    }
  }
}

const last = (points) => points.findLast(([, value]) => Number.isFinite(value))?.[1] ?? null;

function nearest(points, at) {
  let best = null;
  for (const point of points) {
    if (Number.isFinite(point[1]) && (best === null || Math.abs(point[0] - at) < Math.abs(best[0] - at))) best = point;
  }
  return best?.[1] ?? null;
}

// A picture to draw a hole on: with the pointer, or with arrow keys and Enter.

import { button, field, make } from "./parts.js";
import { paint } from "./pixels.js";

const UNDONE = 50; // strokes that can be taken back

/** The picture of a model with its hole; `changed` is told when the hole is another. */
export function holed(facts, changed) {
  const [, height, width] = facts.shape;
  const picture = make("canvas", { role: "img", "aria-label": "Your picture" });
  const hole = make("canvas", { role: "application", tabindex: "0", width, height,
    "aria-label": "Hole in your picture: arrow keys move the brush, Enter draws, Backspace takes back" });
  const size = make("input", { type: "range", min: 1, max: Math.max(3, Math.round(Math.min(height, width) / 3)), step: 1,
    value: Math.max(2, Math.round(Math.min(height, width) / 8)), input: () => show() });
  const undo = button("Undo", () => take(strokes.pop()));
  const clear = button("Clear", () => { remember(); take(new Uint8Array(height * width)); });
  const said = make("p", { class: "note", "aria-live": "polite" });
  let mask = new Uint8Array(height * width);
  let strokes = [];
  let brush = [width / 2, height / 2];
  let pen = null;

  const count = () => mask.reduce((sum, value) => sum + (value ? 1 : 0), 0);
  const empty = () => count() === 0;

  function remember() {
    strokes = [...strokes.slice(1 - UNDONE), mask.slice()];
  }

  function take(other) {
    if (!other) return;
    mask = other;
    show();
    changed();
  }

  /** A disc around the brush; a pixel belongs to it by its middle, and the one below the brush always does. */
  function stamp() {
    const radius = Number(size.value) / 2;
    for (let y = 0; y < height; y++) {
      for (let x = 0; x < width; x++) {
        const below = x === Math.floor(brush[0]) && y === Math.floor(brush[1]);
        if (below || Math.hypot(x + 0.5 - brush[0], y + 0.5 - brush[1]) <= radius) mask[y * width + x] = 255;
      }
    }
  }

  function show() {
    const context = hole.getContext("2d");
    const drawn = context.createImageData(width, height);
    // A chequered fill is told from any picture, whatever its colours.
    mask.forEach((value, at) => {
      if (value) drawn.data.set((at + Math.floor(at / width)) % 2 ? [255, 90, 60, 235] : [190, 40, 20, 235], 4 * at);
    });
    context.putImageData(drawn, 0, 0);
    if (document.activeElement === hole || pen) {
      context.strokeStyle = "rgb(255, 190, 40)";
      context.lineWidth = Math.max(0.5, width / 64);
      context.beginPath();
      context.arc(...brush, Number(size.value) / 2, 0, 7);
      context.stroke();
    }
    const pixels = count();
    undo.disabled = strokes.length === 0;
    clear.disabled = pixels === 0;
    said.textContent = pixels ? `The hole has ${pixels.toLocaleString("en")} pixels, ${Math.round((100 * pixels) / mask.length)} % of the picture.`
      : "Draw on the picture what is to be filled. By keyboard, arrow keys move the brush and Enter draws.";
  }

  function at(event) {
    const box = hole.getBoundingClientRect();
    return [((event.clientX - box.left) / box.width) * width, ((event.clientY - box.top) / box.height) * height];
  }

  /** Draw from where the pen was to where it is, so that a quick stroke has no gaps. */
  function stroke(event) {
    const to = at(event);
    const from = pen ?? to;
    const steps = Math.max(1, Math.ceil(2 * Math.hypot(to[0] - from[0], to[1] - from[1])));
    for (let step = 1; step <= steps; step++) {
      brush = from.map((value, axis) => value + ((to[axis] - value) * step) / steps);
      stamp();
    }
    pen = to;
    show();
  }

  hole.addEventListener("pointerdown", (event) => { remember(); pen = null; hole.setPointerCapture(event.pointerId); stroke(event); });
  hole.addEventListener("pointermove", (event) => { if (pen && event.buttons) stroke(event); });
  for (const end of ["pointerup", "pointercancel"]) {
    hole.addEventListener(end, () => { if (pen) { pen = null; show(); changed(); } });
  }
  hole.addEventListener("keydown", (event) => {
    const move = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
    if (!move && !["Enter", "Backspace"].includes(event.key)) return;
    event.preventDefault();
    if (event.key === "Backspace") {
      take(strokes.pop());
    } else if (event.key === "Enter") {
      remember();
      stamp();
      show();
      changed();
    } else {
      // Whole pixels in small pictures, an eighth of the brush's way in large ones.
      const step = Math.max(1, Math.round(Math.min(height, width) / 32));
      brush = brush.map((value, axis) => Math.min([width, height][axis], Math.max(0, value + step * move[axis])));
      show();
    }
  });
  for (const change of ["focus", "blur"]) hole.addEventListener(change, show);

  show();
  return {
    element: make("figure", { class: "holed" }, make("div", { class: "layered" }, picture, hole), make("figcaption", {}, "Your picture")),
    tools: [field("Brush", size), undo, clear],
    said,
    /** Show other pixels, without a hole. */
    open: (pixels) => {
      paint(picture, { shape: [1, height, width, facts.shape[0]], data: pixels }, facts);
      strokes = [];
      take(new Uint8Array(height * width));
    },
    empty,
    /** 255 in the hole, 0 elsewhere, (H, W). */
    mask: () => mask,
    /** A PNG of the mask, as commands take it. */
    file: () => new Promise((done) => {
      const canvas = make("canvas", { width, height });
      const drawn = new ImageData(width, height);
      mask.forEach((value, at) => drawn.data.set([value, value, value, 255], 4 * at));
      canvas.getContext("2d").putImageData(drawn, 0, 0);
      canvas.toBlob(done);
    }),
  };
}

// A model that makes images from images: drop a picture, see what it makes of it.

import * as commands from "./commands.js";
import { button, commandLine, download, make } from "./parts.js";
import { decoded, one, paint } from "./pixels.js";

/** The pixels of an image file in the size and channels of a model, (H, W, C): its middle, on white without alpha. */
async function pixelsOf(file, [channels, height, width]) {
  const image = await createImageBitmap(file);
  const canvas = new OffscreenCanvas(width, height);
  const context = canvas.getContext("2d");
  if (channels !== 4) {
    context.fillStyle = "white";
    context.fillRect(0, 0, width, height);
  }
  context.imageSmoothingQuality = "high";
  const scale = Math.max(width / image.width, height / image.height);
  const [drawnWidth, drawnHeight] = [image.width * scale, image.height * scale];
  context.drawImage(image, (width - drawnWidth) / 2, (height - drawnHeight) / 2, drawnWidth, drawnHeight);
  image.close();
  const { data } = context.getImageData(0, 0, width, height);
  const pixels = new Uint8Array(channels * height * width);
  for (let pixel = 0; pixel < height * width; pixel++) {
    const [red, green, blue, alpha] = data.subarray(4 * pixel, 4 * pixel + 4);
    if (channels === 1) pixels[pixel] = Math.round(0.299 * red + 0.587 * green + 0.114 * blue);
    else pixels.set(channels === 3 ? [red, green, blue] : [red, green, blue, alpha], channels * pixel);
  }
  return pixels;
}

const inBase64 = (bytes) => btoa(Array.from(bytes, (byte) => String.fromCharCode(byte)).join(""));

export function translator(page) {
  const { facts, api, state } = page;
  let file = null;
  const input = make("input", { type: "file", accept: "image/*", class: "unseen", id: "picture", change: () => take(input.files[0]) });
  const zone = make("label", { for: "picture", class: "drop",
    dragover: (event) => { event.preventDefault(); zone.classList.add("over"); },
    dragleave: () => zone.classList.remove("over"),
    drop: (event) => { event.preventDefault(); zone.classList.remove("over"); take(event.dataTransfer.files[0]); } },
  "Drop a picture here, or choose one");
  const degrade = make("input", { type: "checkbox", checked: facts.degrades, change: () => { if (degrade.checked) back.checked = false; show(); } });
  const back = make("input", { type: "checkbox", change: () => { if (back.checked) degrade.checked = false; show(); } });
  const source = make("canvas", { role: "img", "aria-label": "What the model gets" });
  const result = make("canvas", { role: "img", "aria-label": "What the model makes of it" });
  const command = commandLine();
  const save = button("Download PNG", () => result.toBlob(async (blob) => download(await blob.arrayBuffer(), `${page.stem()}-translated.png`, "image/png")));
  const pair = make("div", { class: "pair", hidden: true },
    make("figure", {}, source, make("figcaption", {}, "Source")), make("figure", {}, result, make("figcaption", {}, "Result")));
  const name = () => (file ? commands.quoted(file.name) : "IMAGES");

  function said() {
    const options = `${degrade.checked ? " --degrade" : ""}${back.checked ? " --back" : ""}`;
    command.show(`${api.program} translate ${commands.quoted(state.model)} ${name()}${options} --out translated/`,
      "In the folder of the picture. The browser resizes a picture a little differently.");
  }

  function take(chosen) {
    if (!chosen) return;
    file = chosen;
    zone.textContent = `${file.name} · drop or choose another`;
    show();
  }

  async function show() {
    said();
    if (!file) return;
    try {
      const pixels = await pixelsOf(file, facts.shape).catch(() => { throw new Error(`${file.name} is no image that this browser can read.`); });
      const made = decoded(await api.bytes("translate", {
        model: state.model, pixels: inBase64(pixels), degrade: degrade.checked, network: back.checked ? "back" : null,
      }));
      api.say("");
      pair.hidden = save.hidden = false;
      paint(source, one(made, 0), facts);
      paint(result, one(made, 1), facts);
      result.dataset.shown = file.name;
    } catch (error) {
      api.fail(error);
    }
  }

  save.hidden = true;
  said();
  return make("div", { class: "panel needs" }, make("h2", {}, "This model needs a picture"),
    make("p", {}, "It makes images from images, not from seeds. Only pixels of its size are sent to gancli."),
    make("div", { class: "chosen" }, input, zone),
    facts.degrades && make("label", { class: "check" }, degrade, "Degrade it first, as in training"),
    facts.networks.includes("back") && make("label", { class: "check" }, back, "Translate back, from target to source"),
    pair, make("div", { class: "row" }, save), command.element);
}

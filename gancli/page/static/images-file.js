// A picture that a person drops on the page or chooses, and its pixels in the size of a model.

import { make } from "./parts.js";

const MOST = 89_478_485; // pixels of a picture, as in the command line

/** Where to choose a picture, or to drop one, as anywhere in `area` until the signal; `take` gets the file. */
export function dropZone(area, signal, take) {
  const input = make("input", { type: "file", accept: "image/*", class: "unseen", id: "picture", change: () => chosen(input.files[0]) });
  const zone = make("label", { for: "picture", class: "drop" }, "Drop a picture here, or choose one");
  const listen = (name, work) => area.addEventListener(name, work, { signal });
  listen("dragover", (event) => { event.preventDefault(); zone.classList.add("over"); });
  listen("dragleave", () => zone.classList.remove("over"));
  listen("drop", (event) => { event.preventDefault(); zone.classList.remove("over"); chosen(event.dataTransfer.files[0]); });
  function chosen(file) {
    if (!file) return;
    zone.textContent = `${file.name} · drop or choose another`;
    take(file);
  }
  return make("div", { class: "chosen" }, input, zone);
}

/** Refuse what is no image, and by its header what would take gigabytes to decode. */
async function check(file) {
  const image = new Image();
  const loaded = new Promise((done, fail) => Object.assign(image, { onload: done, onerror: fail }));
  image.src = URL.createObjectURL(file);
  try {
    await loaded;
  } catch {
    throw new Error(`${file.name} is no image that this browser can read.`);
  } finally {
    URL.revokeObjectURL(image.src);
  }
  const { naturalWidth: width, naturalHeight: height } = image;
  if (width * height > MOST) throw new Error(`${file.name} has ${width.toLocaleString("en")} × ${height.toLocaleString("en")} pixels, which are too many. Make it smaller first.`);
}

/** The pixels of an image file in the size and channels of a model, (H, W, C): its middle, on white without alpha. */
export async function pixelsOf(file, [channels, height, width]) {
  await check(file);
  const image = await createImageBitmap(file).catch(() => { throw new Error(`${file.name} is no image that this browser can read.`); });
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

export const inBase64 = (bytes) => btoa(Array.from(bytes, (byte) => String.fromCharCode(byte)).join(""));

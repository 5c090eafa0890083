// A model that makes images from images: drop a picture, see what it makes of it.

import * as commands from "./commands.js";
import { button, commandLine, download, make } from "./parts.js";
import { dropZone, inBase64, pixelsOf } from "./images-file.js";
import { decoded, one, paint } from "./pixels.js";

export function translator(page) {
  const { facts, api, state } = page;
  let file = null;
  const zone = dropZone(page.element, page.dropping.signal, (chosen) => { file = chosen; show(); });
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

  async function show() {
    said();
    if (!file) return;
    try {
      const pixels = await pixelsOf(file, facts.shape);
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
    zone,
    facts.degrades && make("label", { class: "check" }, degrade, "Degrade it first, as in training"),
    facts.networks.includes("back") && make("label", { class: "check" }, back, "Translate back, from target to source"),
    pair, make("div", { class: "row" }, save), command.element);
}

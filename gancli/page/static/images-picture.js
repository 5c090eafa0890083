// The tab of one's own picture: its latent in the model, and what the model fills a hole in it with.

import * as commands from "./commands.js";
import { dropZone, inBase64, pixelsOf } from "./images-file.js";
import { holed } from "./images-mask.js";
import { button, commandLine, download, field, make } from "./parts.js";
import { paint } from "./pixels.js";

const MOST = 1000;

export function pictureTab(page) {
  const { state, facts, api } = page;
  const [channels, height, width] = facts.shape;
  let file = null;
  let pixels = null;
  let found = null; // what a search came to, with the file that it was for
  let running = null;
  const zone = dropZone(page.element, page.dropping.signal, (chosen) => { page.choose("picture"); open(chosen); });
  const picture = holed(facts, () => tell(picture.empty() ? "reconstruct" : "inpaint"));
  const result = make("canvas", { role: "img", "aria-label": "What the model makes of it" });
  const caption = make("figcaption", {}, "Not searched yet");
  const space = make("select", { change: () => tell() }, make("option", { value: "" }, "Default"), facts.spaces.map((name) => make("option", { value: name }, name)));
  const steps = make("input", { type: "number", min: 1, max: MOST, step: 1, value: commands.STEPS, inputmode: "numeric", input: () => tell() });
  const find = button("Find its latent", () => search("reconstruct"), { class: "first" });
  const fill = button("Fill the hole", () => search("inpaint"));
  const cancel = button("Cancel", () => running?.abort());
  const bar = make("progress", { max: 1, value: 0, "aria-label": "Progress of the search" });
  const progress = make("div", { class: "row progress", hidden: true }, bar, make("output"), cancel);
  const hold = button("Hold this image", () => page.holdFound(found));
  const save = button("Download PNG", () => result.toBlob(async (blob) => download(await blob.arrayBuffer(), `${page.stem()}-${found.mask ? "inpainted" : "reconstructed"}.png`, "image/png")));
  const maskFile = button("Download mask", async () => download(await (await picture.file()).arrayBuffer(), "mask.png", "image/png"));
  const note = make("p", { class: "note", role: "status" });
  const command = commandLine();
  const work = make("div", { class: "picture", hidden: true },
    make("div", { class: "pair" }, picture.element, make("figure", {}, result, caption)), 
    make("div", { class: "row fields" }, picture.tools, facts.spaces.length > 1 && field("Space", space), field("Steps", steps)), picture.said,
    make("div", { class: "row" }, find, fill), progress, note, make("div", { class: "row" }, hold, save, maskFile), command.element);
  let doing = "reconstruct";

  const count = () => Math.min(MOST, Math.max(1, Math.round(Number(steps.value)) || 1));

  /** Show the command of what is done, or would be. */
  function tell(next = doing) {
    doing = next;
    fill.disabled = running !== null || picture.empty();
    find.disabled = running !== null;
    maskFile.hidden = doing !== "inpaint";
    if (!file) return;
    const at = "In the folder of the picture. The browser resizes a picture a little differently.";
    if (doing === "inpaint") command.show(commands.inpaint(api.program, state, file.name, "mask.png", space.value || null, count()), `${at} The mask is to lie there too.`);
    else command.show(commands.reconstruct(api.program, state, file.name, space.value || null, count()), at);
  }

  async function open(chosen) {
    try {
      const read = await pixelsOf(chosen, facts.shape);
      running?.abort();
      api.say("");
      file = chosen;
      pixels = read;
      found = null;
      work.hidden = false;
      hold.hidden = save.hidden = true;
      note.textContent = "";
      caption.textContent = "Not searched yet";
      result.width = width;
      result.height = height;
      delete result.dataset.shown;
      picture.open(pixels);
      tell("reconstruct");
    } catch (error) {
      api.fail(error);
    }
  }

  async function search(what) {
    const ends = new AbortController();
    running = ends;
    const asked = { model: state.model, pixels: inBase64(pixels), space: space.value || null, steps: count() };
    if (what === "inpaint") asked.mask = inBase64(picture.mask());
    const { name } = file;
    advance(0, asked.steps);
    progress.hidden = false;
    note.textContent = "";
    tell(what);
    try {
      const made = await api.lines("search", asked, ends.signal, (line) => advance(line.steps, asked.steps));
      api.say("");
      take(what, made, { name, space: asked.space, steps: asked.steps, mask: what === "inpaint" });
    } catch (error) {
      if (error.name === "AbortError") note.textContent = "Cancelled.";
      else api.fail(error);
    }
    if (running === ends) {
      running = null;
      progress.hidden = true;
      tell();
    }
  }

  function advance(made, of) {
    if (made) bar.value = made / of;
    else bar.removeAttribute("value"); // it waits for the model, or for what was asked before
    progress.querySelector("output").textContent = made ? `${made} of ${of} steps` : "Starting …";
  }

  function take(what, made, from) {
    const data = Uint8Array.from(atob(made.pixels), (character) => character.charCodeAt(0));
    paint(result, { shape: [1, height, width, channels], data }, facts);
    result.dataset.shown = `${what} ${from.name}`;
    caption.textContent = `${what === "inpaint" ? "Filled" : `By ${made.by}${made.space === "z" ? "" : ` in ${made.space}`}`}, PSNR ${made.psnr.toFixed(2)} dB`;
    found = { ...from, ...made.latent };
    hold.hidden = save.hidden = false;
    hold.disabled = !made.latent;
    note.textContent = [
      what === "inpaint" && made.by === "latent" ? "This model comes without its discriminator: only the latent's prior keeps results realistic." : "",
      !made.latent ? "In w+ every layer has a row of its own, which the sliders of this page cannot move together: search in w to hold the image."
        : what === "inpaint" ? "Holding it holds the whole image that the hole was filled from." : "",
    ].filter(Boolean).join(" ");
  }

  return { name: "picture", title: "Picture", leave: () => running?.abort(),
    element: make("div", {}, make("p", { class: "note" }, "See what the model makes of a picture of yours, and hold the latent that comes nearest; or let it fill a hole. Only pixels of the model's size are sent to gancli."), zone, work) };
}

// The tab of walks: keyframes, a preview, an animation to download, the command that makes it.

import * as commands from "./commands.js";
import { button, commandLine, download, field, make } from "./parts.js";
import { one, paint } from "./pixels.js";

const MOST = 64;
const KINDS = { gif: "GIF", webp: "WebP", mp4: "MP4" };

export function walkTab(page) {
  const { state, facts, api } = page;
  const limits = facts.truncation === "w-psi" ? { min: -2, max: 2 } : { min: 0.05, max: 100 };
  let keys = [];
  let frames = null;
  let at = 0;
  let playing = 0;
  const command = commandLine();
  const list = make("ol", { class: "keys" });
  const steps = make("input", { type: "number", min: 1, max: 240, step: 1, value: 30, inputmode: "numeric", input: () => altered() });
  const rate = make("input", { type: "number", min: 1, max: 50, step: 1, value: 24, inputmode: "numeric", input: () => altered() });
  const ease = make("select", { change: () => altered() }, make("option", { value: "linear" }, "Even"), make("option", { value: "smooth" }, "Smooth"));
  const loop = make("input", { type: "checkbox", checked: true, change: () => altered() });
  const canvas = make("canvas", { role: "img", "aria-label": "Frame of the walk" });
  const position = make("input", { type: "range", min: 0, max: 0, step: 1, value: 0, "aria-label": "Frame",
    input: () => { stop(); show(Number(position.value)); } });
  const play = button("Play", () => (playing ? stop() : start()), { class: "first" });
  const add = button("Add the held image", () => { keys.push(held()); altered(); });
  const kind = make("select", { change: () => altered() }, page.animations.map((each) => make("option", { value: each }, KINDS[each])));
  const save = button("Download", async () => {
    save.disabled = true;
    try {
      const { headers, data } = await api.bytes("animation", { ...asked(), kind: kind.value });
      download(data, name(), headers.get("content-type"));
    } catch (error) {
      api.fail(error);
    }
    save.disabled = false;
  });
  const name = () => `${page.stem()}-walk.${kind.value}`;
  const element = make("div", {},
    make("div", { class: "row" }, add,
      button("Add a random seed", async () => { await random(); altered(); })),
    list,
    make("div", { class: "row fields" }, field("Frames between", steps), field("Frames a second", rate), field("Pace", ease), make("label", { class: "check" }, loop, "Loop")),
    make("div", { class: "preview" }, canvas, make("div", { class: "row player" }, play, position), make("div", { class: "row fields" }, field("File", kind), save)),
    command.element);

  const whole = (input, low, high) => Math.min(high, Math.max(low, Math.round(Number(input.value)) || low));
  const asked = () => {
    const truncations = keys.map(({ truncation }) => truncation);
    const alike = new Set(truncations).size < 2;
    return {
      model: state.model, seeds: keys.map(({ seed }) => seed), labels: facts.classes.length ? keys.map(({ label }) => label) : [],
      truncation: alike ? truncations[0] ?? null : null, truncations: alike ? [] : truncations,
      ease: ease.value, frames: whole(steps, 1, 240), loop: loop.checked, fps: whole(rate, 1, 50),
    };
  };
  const held = () => ({ seed: state.seed, label: state.label ?? state.own.label, truncation: state.truncation });

  /** Add a seed of its own class. */
  async function random() {
    const seed = Math.floor(Math.random() * 10_000);
    keys.push({ seed, label: state.label ?? (await page.own(seed)).label, truncation: state.truncation });
  }

  function altered() {
    stop();
    frames = null;
    play.disabled = save.disabled = keys.length < 2;
    mark();
    list.replaceChildren(...keys.map((key, index) => keyframe(key, index)));
    command.element.hidden = keys.length < 2;
    if (keys.length > 1) {
      command.show(commands.walk(api.program, facts, asked(), name()));
    }
    preview();
  }

  /** A walk goes from seed to seed, and what was found for a picture is none. */
  function mark() {
    add.disabled = keys.length >= MOST || state.found !== null;
  }

  function keyframe(key, index) {
    const text = `Seed ${key.seed}${key.label === null ? "" : `, class ${facts.classes[key.label]}`}`;
    const drawn = make("canvas", { "aria-hidden": "true" });
    const truncation = make("input", { type: "number", min: limits.min, max: limits.max, step: 0.05, value: key.truncation ?? "", placeholder: "none",
      "aria-label": `Truncation of ${text}`, change: () => {
        const value = Math.min(limits.max, Math.max(limits.min, Number(truncation.value)));
        key.truncation = truncation.value === "" || !Number.isFinite(value) ? null : value;
        altered();
      } });
    page.images([{ seed: key.seed, label: key.label }], key.truncation).then((made) => paint(drawn, made, facts)).catch((error) => api.fail(error));
    const swap = (other) => { [keys[index], keys[other]] = [keys[other], keys[index]]; altered(); };
    return make("li", {}, drawn, make("span", {}, text), make("label", { class: "limit" }, "Truncation", truncation), make("div", { class: "row" },
      button("←", () => swap(index - 1), { "aria-label": `Move ${text} forward`, disabled: index === 0 }),
      button("→", () => swap(index + 1), { "aria-label": `Move ${text} back`, disabled: index === keys.length - 1 }),
      button("×", () => { keys.splice(index, 1); altered(); }, { "aria-label": `Remove ${text}` })));
  }

  async function preview() {
    const now = asked();
    if (keys.length < 2) return;
    try {
      const made = await page.walk(now);
      if (JSON.stringify(now) !== JSON.stringify(asked())) return;
      frames = made;
      position.max = made.shape[0] - 1;
      show(0);
    } catch (error) {
      api.fail(error);
    }
  }

  function show(frame) {
    if (!frames) return;
    at = frame;
    position.value = frame;
    paint(canvas, one(frames, frame), facts);
    canvas.dataset.frame = frame;
  }

  function start() {
    if (!frames) return;
    play.textContent = "Pause";
    const began = performance.now();
    const first = at >= frames.shape[0] - 1 ? 0 : at;
    const { fps } = asked();
    const step = (now) => {
      if (!playing || !frames) return;
      const frame = first + Math.floor(((now - began) / 1000) * fps);
      if (frame >= frames.shape[0] && !loop.checked) return stop();
      show(frame % frames.shape[0]);
      playing = requestAnimationFrame(step);
      return undefined;
    };
    playing = requestAnimationFrame(step);
  }

  function stop() {
    cancelAnimationFrame(playing);
    playing = 0;
    play.textContent = "Play";
  }

  async function shown() {
    mark();
    if (keys.length) return;
    if (state.found) await random();
    else keys.push(held());
    await random();
    await random();
    altered();
  }

  return { name: "walk", title: "Walk", element, shown: () => shown().catch((error) => api.fail(error)), hidden: stop, leave: stop };
}

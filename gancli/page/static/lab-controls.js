// The lab's settings: each control with what it does.

import { DATA, HELP, LOSSES, PENALTIES, WEIGHTS } from "./lab-words.js";
import { button, field, latest, make } from "./parts.js";
import { short } from "./plot.js";

/**
 * The panel of settings.
 *
 * `on.settings(values)` is called with all of them after each change, `on.draw()` to draw data. `show(state)` sets them.
 */
export function controls(on) {
  const settings = {};
  const updates = [];
  const change = latest((values) => on.settings(values));

  function set(values) {
    Object.assign(settings, values);
    refresh();
    change({ ...settings });
  }

  function refresh() {
    for (const update of updates) update();
  }

  /** One of several, with a text on the chosen one. */
  function choice(label, name, options, also = () => ({})) {
    const select = make("select", { change: () => set({ [name]: select.value, ...also(select.value) }) },
      Object.entries(options).map(([value, [title]]) => make("option", { value }, title)));
    const note = make("p", { class: "note" });
    updates.push(() => {
      select.value = settings[name];
      note.textContent = options[settings[name]]?.[1] ?? "";
    });
    const made = field(label, select, note);
    return Object.assign(made, { select });
  }

  /** A number on a logarithmic slider. */
  function slider(label, name, low, high, help) {
    const [from, to] = [Math.log10(low), Math.log10(high)];
    const value = make("output");
    const input = make("input", { type: "range", min: 0, max: 100, step: 1,
      input: () => {
        settings[name] = +(10 ** (from + (input.value / 100) * (to - from))).toPrecision(2);
        update();
        change({ ...settings });
      } });
    const note = make("p", { class: "note" });
    const text = make("span", {}, label);
    function update() {
      input.value = settings[name] > 0 ? Math.round((100 * (Math.log10(settings[name]) - from)) / (to - from)) : 0;
      value.textContent = short(settings[name]);
      input.setAttribute("aria-valuetext", short(settings[name]));
      note.textContent = typeof help === "function" ? help(settings) : help;
    }
    updates.push(update);
    return field(make("span", { class: "named" }, text, value), input, note);
  }

  /** A whole number. */
  function number(label, name, low, high, help) {
    const input = make("input", { type: "number", min: low, max: high, step: 1,
      change: () => {
        const typed = Math.round(+input.value);
        set({ [name]: Number.isFinite(typed) ? Math.max(low, Math.min(high, typed)) : settings[name] });
      } });
    updates.push(() => { input.value = settings[name]; });
    return field(label, input, make("p", { class: "note" }, help));
  }

  const data = choice("Data", "data", DATA);
  const weight = slider("Weight of the penalty", "weight", 0.001, 10, (now) => (now.penalty === "clip" ? HELP.clip : HELP.weight));
  const penalty = choice("Penalty on D", "penalty", PENALTIES, (name) => ({ weight: WEIGHTS[name] }));
  const sliced = make("p", { class: "note" });
  updates.push(() => {
    weight.hidden = settings.penalty === "none";
    sliced.textContent = settings.dim === 2 ? "" : settings.dim === 1 ? "G's grid is a line: there is one number only."
      : `G's grid is a slice: the first two of ${settings.dim} numbers vary, the others are 0.`;
  });
  const group = (title, ...inside) => make("fieldset", {}, make("legend", {}, title), ...inside);
  const pair = (...inside) => make("div", { class: "pair" }, ...inside);
  const element = make("form", { class: "panel controls", "aria-label": "Settings", submit: (event) => event.preventDefault() },
    group("Game", data, button("Draw your own", on.draw), choice("Loss", "loss", LOSSES), penalty, weight),
    group("Learning rates", slider("G", "generator_lr", 1e-5, 0.1, HELP.generator_lr), slider("D", "discriminator_lr", 1e-5, 0.1, HELP.discriminator_lr)),
    group("Steps a round", pair(number("G", "generator_steps", 1, 10, HELP.generator_steps), number("D", "discriminator_steps", 1, 10, HELP.discriminator_steps))),
    group("Starts again", pair(number("Latent numbers", "dim", 1, 64, HELP.dim), number("Seed", "seed", 0, 4294967295, HELP.seed)), sliced));

  return {
    element,
    show(state) {
      Object.assign(settings, state.settings);
      [...data.select.options].find(({ value }) => value === "own").hidden = !state.own;
      refresh();
    },
  };
}

// The tab that steers the image that is held: class, codes, truncation, directions, dimensions, layers.

import { button, commandLine, field, make } from "./parts.js";
import { number, quoted } from "./commands.js";

const SHOWN = 12;
const THIRDS = ["coarse", "middle", "fine"];
const MOST = 2 ** 32 - 1;

/** A slider with its value; `set` moves it without telling, `reset` is what its button does. */
function slider(label, { min, max, step, value, set, reset, name = label, text = (value) => value.toFixed(2) }) {
  const range = make("input", { type: "range", min, max, step, "aria-label": name,
    input: () => { output.textContent = text(Number(range.value)); clear.disabled = false; set(Number(range.value)); } });
  const output = make("output", {}, "");
  const clear = button("×", () => { clear.disabled = true; reset(); }, { "aria-label": `Reset ${name}`, disabled: true, class: "clear" });
  const element = make("div", { class: "slider" }, make("span", { class: "label" }, label), range, output, clear);
  const move = (to, own = true) => { range.value = to; output.textContent = text(to); clear.disabled = own; };
  move(value);
  return { element, move };
}

function section(title, ...children) {
  return make("section", { class: "panel part", "aria-label": title }, make("h2", { class: "small" }, title), ...children);
}

export function steerTab(page) {
  const { state, facts } = page;
  const element = make("div", {});
  const parts = [];
  const add = (made) => { if (made) parts.push(made); };
  add(facts.classes.length ? classes(page) : null);
  add(truncation(page));
  add(facts.codes ? codes(page) : null);
  add(facts.layers > 1 ? layers(page) : null);
  add(facts.numbers ? null : directions(page));
  add(dimensions(page));
  const all = button("Reset all", () => {
    Object.assign(state, { label: null, other: null, share: 0, codes: {}, dims: {}, moves: {}, style: null, layers: [], truncation: null });
    refresh();
    page.changed();
  });
  element.append(make("div", { class: "row between" }, make("p", { class: "note" }, "Each slider starts where the image is."), all),
    make("div", { class: "parts" }, parts.map((part) => part.element)));
  const refresh = () => parts.forEach((part) => part.refresh?.());
  return { name: "steer", title: "Steer", element, owned: refresh, shown: () => { refresh(); parts.forEach((part) => part.shown?.()); } };
}

function classes(page) {
  const { state, facts } = page;
  const names = (first) => [make("option", { value: "" }, first), ...facts.classes.map((name, index) => make("option", { value: index }, name))];
  const chosen = (select) => (select.value === "" ? null : Number(select.value));
  const own = make("select", { change: () => { state.label = chosen(own); page.changed(); } }, names("The seed's own"));
  const other = make("select", { change: () => {
    state.other = chosen(other);
    if (state.other !== null && !state.share) state.share = 0.5;
    if (state.other === null) state.share = 0;
    refresh();
    page.changed();
  } }, names("None"));
  const share = slider("Share", { min: 0, max: 1, step: 0.05, value: 0, name: "Share of the second class", text: (value) => `${Math.round(100 * value)} %`,
    set: (value) => { state.share = value; page.changed(); },
    reset: () => { Object.assign(state, { other: null, share: 0 }); refresh(); page.changed(); } });
  const refresh = () => {
    own.value = state.label ?? "";
    other.value = state.other ?? "";
    share.element.hidden = state.other === null;
    share.move(state.share, false);
    const whose = state.found ? "As it was found" : "The seed's own";
    own.options[0].textContent = state.own.label === null ? whose : `${whose}: ${facts.classes[state.own.label]}`;
  };
  return { element: section("Class", field("Class", own), field("Mixed with", other), share.element), refresh };
}

function truncation(page) {
  const { state, facts } = page;
  const psi = facts.truncation === "w-psi";
  const uniform = facts.distribution === "uniform"; // its values lie within 1
  const [min, max, off] = psi ? [0, 1.5, 1] : uniform ? [0.1, 1, 1] : [0.1, 3, 3];
  const text = (value) => (value === off ? "off" : number(value));
  const made = slider(psi ? "ψ" : "Limit", { min, max, step: 0.05, value: off, text, name: "Truncation",
    set: (value) => { state.truncation = value === off ? null : value; page.changed(); },
    reset: () => { state.truncation = null; refresh(); page.changed(); } });
  const refresh = () => made.move(state.truncation ?? off, state.truncation === null);
  const note = psi ? "From 1 down to 0, images come nearer to the mean's."
    : `${uniform ? "Below 1" : "From 2 down to about 1"}, images become safer and more alike.`;
  return { element: section("Truncation", made.element, make("p", { class: "note" }, note)), refresh };
}

function codes(page) {
  const { state, facts } = page;
  const made = Array.from({ length: facts.codes }, (_, code) => slider(`${code}`, { min: -2, max: 2, step: 0.05, value: 0, name: `Code ${code}`,
    set: (value) => { state.codes[code] = value; page.changed(); },
    reset: () => { delete state.codes[code]; refresh(); page.changed(); } }));
  const refresh = () => made.forEach((each, code) => each.move(state.codes[code] ?? state.own.codes[code] ?? 0, state.codes[code] === undefined));
  return { element: section("Codes", ...made.map((each) => each.element)), refresh };
}

function layers(page) {
  const { state, facts } = page;
  const seed = make("input", { type: "number", min: 0, max: MOST, step: 1, inputmode: "numeric", value: 1, input: () => apply() });
  const boxes = Array.from({ length: facts.layers }, (_, layer) => make("input", { type: "checkbox", "aria-label": `Layer ${layer}`, change: () => apply() }));
  const third = (index) => boxes.map((_, layer) => layer).filter((layer) =>
    layer >= Math.round((facts.layers * index) / 3) && layer < Math.round((facts.layers * (index + 1)) / 3));
  const thirds = THIRDS.map((name, index) => button(name, () => {
    boxes.forEach((box, layer) => (box.checked = third(index).includes(layer)));
    apply();
  }));
  function apply() {
    state.layers = boxes.flatMap((box, layer) => (box.checked ? [layer] : []));
    state.style = state.layers.length ? Math.min(MOST, Math.max(0, Math.trunc(Number(seed.value)) || 0)) : null;
    page.changed();
  }
  const refresh = () => {
    if (state.style !== null) seed.value = state.style;
    boxes.forEach((box, layer) => (box.checked = state.layers.includes(layer)));
  };
  return { element: section("Layers of another seed", field("Seed", seed),
    make("div", { class: "row" }, thirds, button("none", () => { boxes.forEach((box) => (box.checked = false)); apply(); })),
    make("div", { class: "row layers" }, boxes.map((box, layer) => make("label", { class: "check" }, box, `${layer}`)))), refresh };
}

function directions(page) {
  const { state, api } = page;
  const list = make("div", { class: "list" });
  const note = make("p", { class: "note" });
  const command = commandLine();
  command.element.hidden = true;
  const find = button("Find directions", () => look(true));
  let found = null;
  let sliders = [];

  async function look(anew) {
    find.disabled = true;
    note.textContent = anew ? "Looking for directions along which images change most …" : "";
    try {
      found = await api.post("directions", { model: state.model, find: anew });
      show();
    } catch (error) {
      note.textContent = "";
      api.fail(error);
    }
    find.disabled = false;
  }

  function show() {
    const known = found.directions;
    find.hidden = known.length > 0;
    sliders = known.map(({ name }, index) => slider(name, { min: -5, max: 5, step: 0.1, value: 0, name: `Direction ${name}`,
      set: (value) => { state.moves[name] = value; page.changed(); },
      reset: () => { delete state.moves[name]; refresh(); page.changed(); } }));
    list.replaceChildren(...sliders.map((each) => each.element));
    command.element.hidden = !known.length || found.stored;
    command.show(`${api.program} directions ${quoted(state.model)} --save FILE.safetensors`,
      "Stores them in a copy of the model, which the command of a moved image takes. --name 0=open names one.");
    note.textContent = !known.length ? "The model has none yet."
      : found.stored ? "Steps along the model's directions." : `Found here, by the method ${found.method}.`;
    refresh();
  }

  const refresh = () => sliders.forEach((each, index) => {
    const { name } = found.directions[index];
    each.move(state.moves[name] ?? 0, state.moves[name] === undefined);
  });
  return { element: section("Directions", note, list, find, command.element), refresh, shown: () => { if (!found) look(false); } };
}

function dimensions(page) {
  const { state, facts, api } = page;
  const list = make("div", { class: "list" });
  const note = make("p", { class: "note" }, "Measuring what each dimension changes …");
  const more = button("Show more", () => { count += SHOWN; build(); });
  const [min, max] = facts.space === "z" && facts.distribution === "uniform" ? [-1, 1] : [-3, 3];
  let order = null;
  let count = SHOWN;
  let made = new Map();

  function build() {
    const chosen = new Set([...order.slice(0, count), ...Object.keys(state.dims).map(Number)]);
    made = new Map([...chosen].map((dim) => [dim, slider(`${dim}`, { min, max, step: 0.05, value: 0, name: `Dimension ${dim}`,
      set: (value) => { state.dims[dim] = value; page.changed(); },
      reset: () => { delete state.dims[dim]; refresh(); page.changed(); } })]));
    list.replaceChildren(...[...made.values()].map((each) => each.element));
    more.hidden = made.size >= order.length;
    refresh();
  }

  const refresh = () => made.forEach((each, dim) => each.move(state.dims[dim] ?? state.own.dims[dim] ?? 0, state.dims[dim] === undefined));

  async function shown() {
    if (order) return;
    try {
      order = (await api.post("order", { model: state.model })).dims;
      note.textContent = facts.space === "w" ? "Of w, in standard deviations; what changes most comes first." : "Of z; what changes most comes first.";
      build();
    } catch (error) {
      note.textContent = "";
      api.fail(error);
    }
  }
  more.hidden = true;
  return { element: section("Dimensions", note, list, more), refresh, shown };
}

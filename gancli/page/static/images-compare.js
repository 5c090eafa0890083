// The tab that shows models side by side, on the same seeds.

import * as commands from "./commands.js";
import { commandLine, field, make } from "./parts.js";
import { decoded, one, paint, plot, rows } from "./pixels.js";

const COUNT = 24;
const POINTS = 256;
const COLUMNS = 6;
const MOST = 3;

export function compareTab(page) {
  const { state, api } = page;
  const chosen = [state.model, ...page.named.filter((name) => name !== state.model)].slice(0, MOST);
  const first = make("input", { type: "number", min: 0, max: 2 ** 32 - POINTS, step: 1, value: 0, inputmode: "numeric", change: () => draw() });
  const columns = make("div", { class: "columns" });
  const element = make("div", {}, make("div", { class: "row fields" }, field("First seed", first)), columns);

  function column(index) {
    const select = make("select", { "aria-label": `Model ${index + 1}`, change: () => {
      if (select.value) chosen[index] = select.value;
      else chosen.splice(index, 1);
      draw();
    } }, index > 0 && make("option", { value: "" }, index < chosen.length ? "None" : "Add a model …"),
      Object.keys(page.models).map((name) => make("option", { value: name, selected: name === chosen[index] }, name)));
    return make("section", { class: "column", "aria-label": chosen[index] ?? "Another model" }, select);
  }

  async function fill(section, model, start) {
    const facts = await api.post("model", { model });
    if (facts.takes === "source") return section.append(make("p", { class: "note" }, "It makes images from images, not from seeds."));
    if (facts.numbers && !facts.formula) return section.append(make("p", { class: "note" }, "It makes numbers of unknown data."));
    const together = facts.numbers && !facts.formula.x; // points of the plane are drawn in one plot
    const seeds = Array.from({ length: together ? POINTS : COUNT }, (_, index) => start + index);
    const label = facts.classes.length && state.label !== null && facts.classes[state.label] === page.facts.classes[state.label] ? state.label : null;
    const points = seeds.map((seed) => ({ seed, label }));
    const made = decoded(await api.bytes("draw", { model, points, truncation: null }));
    const grid = make("div", { class: together ? "whole" : "grid" }, (together ? [`${start} to ${seeds.at(-1)}`] : seeds).map((seed) => make("figure", {}, make("canvas", { role: "img", "aria-label": `${model}, seed ${seed}` }), make("figcaption", {}, `${seed}`))));
    const command = commandLine();
    command.show(commands.sample(api.program, { model, label, codes: {}, moves: {}, truncation: null }, facts, seeds, COLUMNS));
    section.append(grid, command.element);
    if (together) plot(grid.firstChild.firstChild, facts.formula, rows(made));
    else seeds.forEach((_, index) => paint(grid.children[index].firstChild, one(made, index), facts));
    section.dataset.shown = `${model} ${start}`;
    return undefined;
  }

  async function draw() {
    const start = Math.min(2 ** 32 - POINTS, Math.max(0, Math.trunc(Number(first.value)) || 0));
    const count = Math.min(MOST, chosen.length + 1);
    columns.replaceChildren(...Array.from({ length: count }, (_, index) => column(index)));
    for (const [index, model] of [...chosen].entries()) {
      try {
        await fill(columns.children[index], model, start);
      } catch (error) {
        api.fail(error);
      }
    }
  }

  return { name: "compare", title: "Compare", element, shown: draw };
}

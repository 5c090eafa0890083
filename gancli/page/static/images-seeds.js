// The tab of seeds: a grid to choose from, and favourites.

import * as commands from "./commands.js";
import { button, commandLine, make } from "./parts.js";
import { one, paint } from "./pixels.js";

const COUNT = 24;
const COLUMNS = 6;
const MOST = 2 ** 32 - 1;
const STORED = "gancli favourites";

export function seedsTab(page) {
  let first = Math.floor(page.state.seed / COUNT) * COUNT;
  let drawn = "";
  const command = commandLine();
  const grid = make("div", { class: "grid" });
  const favourites = make("div", { class: "grid" });
  const none = make("p", { class: "note" }, "☆ keeps an image here, in this browser.");
  const zip = button("Download ZIP", () => page.saveZip(groups(), "favourites"), { "aria-label": "Download ZIP of favourites", title: "A PNG for each favourite" });
  const kept = commandLine();
  const from = make("input", { type: "number", min: 0, max: MOST, step: 1, inputmode: "numeric", "aria-label": "First seed",
    change: () => go(Number(from.value)) });
  const seeds = () => Array.from({ length: Math.min(COUNT, MOST - first + 1) }, (_, index) => first + index);
  const element = make("div", {},
    make("div", { class: "row between" },
      make("div", { class: "row" }, button("←", () => go(first - COUNT), { "aria-label": "Seeds before" }), from,
        button("→", () => go(first + COUNT), { "aria-label": "Seeds after" })),
      make("div", { class: "row" },
        button("Download grid", () => page.save(seeds().map((seed) => page.alike(seed)), COLUMNS, `seeds${first}`)),
        !page.facts.numbers && button("Download ZIP", () => page.saveZip([{ points: seeds().map((seed) => page.alike(seed)), truncation: page.state.truncation }], `seeds${first}`),
          { title: "A PNG for each seed" }))),
    grid, command.element, make("div", { class: "row between" }, make("h2", { class: "small" }, "Favourites"), zip), none, favourites, kept.element);

  function go(seed) {
    first = Math.min(MOST, Math.max(0, Math.trunc(seed) || 0));
    draw().catch((error) => page.api.fail(error));
  }

  /** A button with an image. */
  function cell(label, choose, attributes) {
    return make("button", { type: "button", click: choose, "aria-pressed": "false", "aria-label": label, ...attributes },
      make("canvas", { "aria-hidden": "true" }), make("span", {}, label.replace("Seed ", "")));
  }

  function note() {
    const mixed = page.state.other !== null && page.state.share > 0 ? "But for the second class, which this command does not mix in. " : "";
    return mixed + (page.facts.numbers ? "" : `With --out ${page.stem()}-seeds${first}.zip instead of --grid: one PNG for each seed, as in the ZIP.`);
  }

  async function draw() {
    const shown = seeds();
    from.value = first;
    const points = shown.map((seed) => page.alike(seed));
    const state = JSON.stringify([points, page.state.truncation, page.state.model]);
    command.show(commands.sample(page.api.program, page.state, page.facts, shown, COLUMNS), note());
    if (state === drawn) return mark();
    drawn = state;
    const made = await page.images(points);
    if (state !== drawn) return undefined;
    if (grid.children.length !== shown.length || Number(grid.dataset.first) !== first) {
      grid.replaceChildren(...shown.map((seed) => cell(`Seed ${seed}`, () => page.hold(seed), { "data-seed": seed })));
      grid.dataset.first = first;
    }
    shown.forEach((_, index) => paint(grid.children[index].firstChild, one(made, index), page.facts));
    grid.dataset.shown = state;
    return mark();
  }

  function mark() {
    for (const each of grid.children) each.setAttribute("aria-pressed", !page.state.found && Number(each.dataset.seed) === page.state.seed);
    const held = !page.state.found && stored().some(same);
    page.star.textContent = held ? "★" : "☆";
    page.star.setAttribute("aria-pressed", held);
  }

  const plain = () => ({ hash: page.facts.identity, seed: page.state.seed, label: page.state.label, truncation: page.state.truncation });
  const same = (each) => JSON.stringify(each) === JSON.stringify(plain());

  /** Favourites of all models, whatever this browser has stored. */
  function stored() {
    try {
      const found = JSON.parse(localStorage.getItem(STORED) ?? "[]");
      const could = (each) => Number.isInteger(each?.seed) && (each.label === null || Number.isInteger(each.label))
        && (each.truncation === null || Number.isFinite(each.truncation));
      return Array.isArray(found) ? found.filter(could) : [];
    } catch {
      return [];
    }
  }

  function favour() {
    const all = stored();
    const left = all.some(same) ? all.filter((each) => !same(each)) : [...all, plain()];
    try {
      localStorage.setItem(STORED, JSON.stringify(left.slice(-500)));
    } catch {
      page.api.say("This browser keeps no favourites: its storage is full or switched off.");
    }
    mark();
    return drawFavourites().catch((error) => page.api.fail(error));
  }

  /** The model's favourites, the last ones. */
  const own = () => stored().filter(({ hash }) => hash === page.facts.identity).slice(-COUNT);

  /** Favourites by their truncation, as an archive has them. */
  function groups() {
    const found = Map.groupBy(own(), ({ truncation }) => truncation);
    return [...found].map(([truncation, all]) => ({ truncation, points: all.map(({ seed, label }) => ({ seed, label })) }));
  }

  /** The commands that write what the archive has: one for each truncation and class. */
  function saying() {
    const all = groups();
    return all.flatMap(({ truncation, points }) => [...Map.groupBy(points, ({ label }) => label)].map(([label, some]) => {
      const out = all.length > 1 && truncation !== null ? `favourites/truncation-${commands.number(truncation)}/` : "favourites/";
      const state = { model: page.state.model, label, truncation, codes: {}, moves: {} };
      return commands.sample(page.api.program, state, page.facts, some.map(({ seed }) => seed).sort((a, b) => a - b), null, out);
    })).join("\n");
  }

  async function drawFavourites() {
    const all = own();
    none.hidden = all.length > 0;
    zip.hidden = kept.element.hidden = !all.length || page.facts.numbers;
    kept.show(saying());
    favourites.replaceChildren();
    for (const { seed, label, truncation } of all) {
      const made = await page.images([{ seed, label }], truncation);
      const name = label === null ? `Seed ${seed}` : `Seed ${seed}, ${page.facts.classes[label]}`;
      const added = cell(name, () => { Object.assign(page.state, { label, truncation }); page.hold(seed); });
      favourites.append(added);
      paint(added.firstChild, made, page.facts);
    }
  }

  return {
    name: "seeds", title: "Seeds", element, favour,
    shown: () => Promise.all([draw(), drawFavourites()]).catch((error) => page.api.fail(error)),
    changed: () => { if (page.tab === "seeds" && !element.hidden && grid.children.length) draw().catch((error) => page.api.fail(error)); },
  };
}

// The view "images": one image that is held, and ways to find others.

import * as commands from "./commands.js";
import { button, commandLine, copyButton, download, latest, make, tabs } from "./parts.js";
import { decoded, paint, rows } from "./pixels.js";
import { compareTab } from "./images-compare.js";
import { pictureTab } from "./images-picture.js";
import { seedsTab } from "./images-seeds.js";
import { steerTab } from "./images-steer.js";
import { translator } from "./images-translate.js";
import { walkTab } from "./images-walk.js";
import * as links from "./images-links.js";

const MOST = 2 ** 32 - 1;
const CLOUD = 256;

export async function mount(element, api) {
  const page = new Page(element, api, await api.get("models"));
  await page.start();
  return () => page.leave();
}

/** What the tabs share: the model, the state of the image that is held, and drawing. */
class Page {
  constructor(element, api, { models, named, animations }) {
    Object.assign(this, { element, api, models, named, animations });
    this.state = links.fresh(named[0]);
    this.facts = null;
    this.tabs = [];
    this.tab = "seeds";
    this.canvas = make("canvas", { role: "img", "aria-label": "Generated image" });
    this.caption = make("p", { class: "caption", "aria-live": "polite" });
    this.command = commandLine();
    this.show = latest(() => this.draw());
  }

  async start() {
    const asked = links.read(this.api.params(), this.state.model);
    this.tab = asked.tab;
    this.linked = asked.hash;
    if (this.models[asked.state.model]) this.state = asked.state;
    else if (asked.state.model) this.api.say(`This link is of ${asked.state.model}, which this page does not have.`);
    await this.load();
  }

  leave() {
    this.gone = true;
    clearTimeout(this.keeping);
    this.keeping = null;
    this.dropping?.abort();
    this.tabs.forEach((tab) => tab.leave?.());
  }

  /** Load the state's model, and build the page for it. */
  async load() {
    const { model } = this.state;
    this.owner = null;
    delete this.canvas.dataset.shown;
    this.element.replaceChildren(this.head(), make("p", { class: "wait" }, `Loading PyTorch and ${model} …`));
    let facts;
    try {
      facts = await this.api.post("model", { model });
    } catch (error) {
      this.element.lastChild.remove();
      this.api.fail(error);
      return;
    }
    if (this.gone || model !== this.state.model) return;
    this.facts = facts;
    if (this.linked && this.linked !== facts.identity) {
      this.api.say(`This link is of other weights of ${model}: its image may differ.`);
    }
    this.linked = null;
    this.build();
  }

  head() {
    const kinds = [["named", "On this page"], ["run", "Runs"], ["zoo", "Zoo"]];
    const groups = kinds.map(([kind, title]) => [title, Object.keys(this.models).filter((name) => this.models[name] === kind)]);
    const select = make("select", { "aria-label": "Model", change: () => this.open(select.value) },
      groups.filter(([, names]) => names.length).map(([title, names]) => make("optgroup", { label: title },
        names.map((name) => make("option", { value: name, selected: name === this.state.model }, name)))));
    return make("div", { class: "head" }, select, this.facts?.name && make("p", { class: "note" }, this.about()));
  }

  about() {
    const { facts } = this;
    const [channels, height, width] = facts.shape;
    const kind = { 1: "grey", 3: "colour", 4: "colour with alpha" }[channels] ?? `${channels} channels`;
    const makes = facts.numbers ? `${width} numbers` : `${width} × ${height}, ${kind}`;
    const latent = facts.dims ? `${facts.space} of ${facts.dims}` : null;
    const classes = facts.classes?.length ? `${facts.classes.length} classes` : null;
    const weights = `${facts.parameters.toLocaleString("en")} parameters`;
    return [makes, latent, classes, weights, facts.data && `data ${facts.data}`, facts.licence].filter(Boolean).join(" · ");
  }

  open(model) {
    this.leave();
    this.gone = false;
    this.api.say("");
    this.facts = null;
    this.state = links.fresh(model);
    this.keep();
    return this.load();
  }

  build() {
    const { facts } = this;
    this.dropping = new AbortController(); // of listeners for pictures
    if (facts.takes === "source") return this.element.replaceChildren(this.head(), translator(this));
    if (facts.numbers && !facts.formula) {
      return this.element.replaceChildren(this.head(), make("p", {}, "This model makes numbers of unknown data, which the page cannot draw."));
    }
    this.star = button("☆", () => this.seeds.favour(), { "aria-label": "Favourite", "aria-pressed": "false", class: "star" });
    const stage = make("section", { class: "stage", "aria-label": "Image" },
      make("div", { class: "frame" }, this.canvas), this.caption,
      make("div", { class: "row" }, this.star,
        button("Random", () => this.hold(Math.floor(Math.random() * (MOST + 1))), { "aria-label": "Random seed" }),
        button("Download PNG", () => this.save([this.point()])),
        copyButton("Copy link", "Copy a link to this image", () => this.link())),
      this.command.element);
    this.seeds = seedsTab(this);
    this.tabs = [this.seeds, steerTab(this), walkTab(this), facts.numbers ? null : pictureTab(this), compareTab(this)].filter(Boolean);
    const row = tabs("Ways to images", this.tabs.map(({ name, title, element }) => [name, title, element]), (name) => {
      this.tab = name;
      this.element.dataset.tab = name;
      this.keep();
      for (const tab of this.tabs) if (tab.name !== name) tab.hidden?.();
      this.tabs.find((tab) => tab.name === name).shown?.();
    });
    const panel = make("section", { class: "ways" }, row.list, this.tabs.map((tab) => tab.element));
    this.element.replaceChildren(this.head(), make("div", { class: "split" }, stage, panel));
    this.cloud = null;
    if (facts.numbers && !facts.formula.x) this.surround().catch((error) => this.api.fail(error));
    this.changed();
    this.choose = row.choose;
    row.choose(row.names.includes(this.tab) ? this.tab : "seeds");
    return undefined;
  }

  /** The point of the image that is held. */
  point() {
    const { seed, found, label, other, share, codes, dims, moves, style, layers } = this.state;
    const base = found ? { seed, latent: found.values, label: label ?? found.label, codes: { ...found.codes, ...codes } } : { seed, label, codes };
    return { ...base, other, share, dims, moves, style, layers };
  }

  /** The point of another seed, with what is set for any. */
  alike(seed) {
    const { label, other, share, codes, moves } = this.state;
    return { seed, label, other, share, codes, moves };
  }

  /** Images of points. */
  async images(points, truncation = this.state.truncation) {
    return decoded(await this.api.bytes("draw", { model: this.state.model, points, truncation }));
  }

  /** Hold another seed; what was set for this one's latent alone is given up. */
  hold(seed) {
    Object.assign(this.state, { seed, found: null, dims: {}, style: null, layers: [] });
    this.changed();
  }

  /** Hold a latent that was found for a picture; nothing is set for it yet. */
  holdFound(found) {
    Object.assign(this.state, { found, label: null, other: null, share: 0, codes: {}, dims: {}, moves: {}, style: null, layers: [] });
    this.changed();
  }

  /** Show what the state says now. */
  changed() {
    this.keep();
    this.tabs.forEach((tab) => tab.changed?.());
    return this.show().catch((error) => this.api.fail(error));
  }

  /** Set the address a little later: Safari allows a hundred changes in 30 seconds. */
  keep() {
    this.keeping ??= setTimeout(() => this.link(), 350);
  }

  /** The address, which is a link to the image that is held. */
  link() {
    clearTimeout(this.keeping);
    this.keeping = null;
    this.api.keep(links.write(this.state, this.facts?.identity, this.tab));
    return location.href;
  }

  /** What a seed, or a latent that was found, has by itself. */
  async own(seed, label = null, codes = {}, found = null) {
    const { model, truncation } = this.state;
    const own = await this.api.post("own", { model, points: [{ seed, label, codes, latent: found?.values ?? null }], truncation });
    return found ? { ...own, label: found.label, codes: found.codes } : own;
  }

  /** Other seeds' points of the plane, around the one that is held. */
  async surround() {
    const seeds = Array.from({ length: CLOUD }, (_, seed) => ({ seed }));
    const { facts } = this;
    const cloud = rows(await this.images(seeds, null));
    if (facts !== this.facts) return;
    this.cloud = cloud;
    await this.show();
  }

  /** The frames of a walk. */
  async walk(asked) {
    return decoded(await this.api.bytes("walk", asked));
  }

  async draw() {
    const { state, facts } = this;
    const point = this.point();
    const shown = JSON.stringify([point, state.truncation]);
    const { found } = state;
    const owner = JSON.stringify([state.seed, found, state.label, state.codes, state.truncation]);
    const known = this.owner === owner;
    const [own, made] = await Promise.all([known ? state.own : this.own(point.seed, point.label, point.codes, found), this.images([point])]);
    if (facts !== this.facts) return;
    if (!known) {
      state.own = own;
      this.owner = owner;
      this.tabs.forEach((tab) => tab.owned?.());
    }
    paint(this.canvas, made, facts, this.cloud);
    const label = point.label ?? own.label;
    const text = `${found ? `Found for ${found.name}` : `Seed ${point.seed}`}${label === null ? "" : `, class ${facts.classes[label]}`}`;
    this.caption.textContent = text;
    this.canvas.setAttribute("aria-label", `Generated ${facts.numbers ? "numbers" : "image"}: ${text}`);
    this.star.disabled = found !== null; // favourites are seeds
    this.command.show(...commands.held(this.api.program, state, facts));
    this.canvas.dataset.shown = shown;
  }

  /** Download the PNG of points; of several, a grid. */
  async save(points, columns = null, name = this.state.found ? "found" : `seed${this.state.seed}`) {
    try {
      const { data } = await this.api.bytes("png", { model: this.state.model, points, truncation: this.state.truncation, columns });
      download(data, `${this.stem()}-${name}.png`, "image/png");
    } catch (error) {
      this.api.fail(error);
    }
  }

  /** Download an archive of groups of images { points, truncation }. */
  async saveZip(groups, name) {
    try {
      const { data } = await this.api.bytes("zip", { model: this.state.model, groups });
      download(data, `${this.stem()}-${name}.zip`, "application/zip");
    } catch (error) {
      this.api.fail(error);
    }
  }

  stem() {
    return this.state.model.replaceAll(/[^A-Za-z0-9._-]+/g, "-");
  }
}

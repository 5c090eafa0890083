// Trainings: how far they are, what the health monitor has found, curves, sample grids over time, evaluations.

import { card } from "./runs-card.js";
import { film } from "./runs-film.js";
import { field, make } from "./parts.js";
import { plot } from "./plot.js";

const EVERY = 1000; // milliseconds between two questions while a run is trained
const RESTING = 5000; // and while none is

/** Plots by what their metrics' names begin with, and what to look for in each. */
const PLOTS = [
  ["Losses", /^loss\//, "No score: each depends on the other side. What matters is that none runs away."],
  ["D's mean output", /^probability\//, "1 for real, 0 for a fake. Both near 0.5: D can only guess.", { y: [0, 1] }],
  ["D's accuracy", /^accuracy\//, "The share that D has right. Near 1 for long: G learns little from it.", { y: [0, 1] }],
  ["Distance by the critic", /^distance\//, "Of real images from fakes; it falls as G learns."],
  ["D's score", /^score\//, "Minus D's loss."],
  ["Gradient norms", /^gradient\//, "Near 0 for long: that side has stopped learning."],
  ["Diversity", /^(diversity|nearest)$/, "1: samples differ as much as the data's images. Near 0: mode collapse."],
  ["Change since the last grid", /^change$/, "Of the images of the same seeds: it falls as the training settles."],
  ["Noise", /^noise$/, "0: neighbouring pixels agree as in the data; 1: not at all."],
  ["Overfitting", /^overfitting$/, "1: D takes held-out images for fakes."],
  ["Leaked augmentation", /^leak$/, "1: samples look like augmented images."],
  ["Augmentation", /^augment/, "Its probability and strength."],
  ["Images a second", /^images_per_second$/, ""],
];
const AXES = { round: "rounds", images: "images", seconds: "seconds" };
const AXIS_TITLES = { round: "Rounds", images: "Images", seconds: "Seconds" };

export async function mount(element, api) {
  const end = new AbortController();
  const columns = [];
  let states = [];
  let drawn = "";
  let shown = [];
  let evaluated = "";

  const cards = make("div", { class: "cards" });
  const movie = film(api);
  const axis = make("select", { change: () => drawAll(true) },
    Object.entries(AXIS_TITLES).map(([value, text]) => make("option", { value }, text)));
  const plots = make("div", { class: "plots" });
  const made = new Map();
  const evaluations = make("section", { class: "panel evaluations", hidden: true });
  element.append(cards, make("div", { class: "sides" }, movie.element,
    make("section", { class: "curves", "aria-label": "Curves" },
      make("div", { class: "row between" }, make("h2", {}, "Curves"), field("Against", axis)), plots)), evaluations);

  async function ask() {
    states = await api.get("state", end.signal);
    for (const [index, state] of states.entries()) {
      if (columns[index]?.version !== state.version) columns[index] = await api.get(`${index}/curves`, end.signal);
    }
    if (shown.length !== states.length) cards.replaceChildren(...(shown = states.map((_, index) => card(index, states.length))).map((each) => each.element));
    states.forEach((state, index) => shown[index].show(state));
    movie.show(states);
    drawAll(false);
    drawEvaluations();
  }

  async function follow() {
    let lost = false;
    while (!end.signal.aborted) {
      try {
        await ask();
        if (lost) api.say("");
        lost = false;
      } catch (error) {
        if (error.name === "AbortError") return;
        lost = true;
        if (error.status === undefined) api.say(`gancli does not answer. A page that was opened by a training ends with it; ${api.program} explore RUN shows its run again.`);
        else api.fail(error);
      }
      const rest = lost || !states.some(({ state }) => state === "running" || state === "waiting");
      await new Promise((done) => setTimeout(done, document.hidden || rest ? RESTING : EVERY));
    }
  }

  /** The plots that the metrics fill. With several runs a line is a run, and each metric has a plot of its own. */
  function drawAll(always) {
    const now = columns.map((each) => each.version).join();
    if (!always && now === drawn) return;
    drawn = now;
    const names = [...new Set(columns.flatMap((each) => Object.keys(each.columns)))].filter((name) => !(name in AXES));
    const alone = states.length === 1;
    const wanted = [];
    for (const [title, pattern, note, options = {}] of PLOTS) {
      const inside = names.filter((name) => pattern.test(name));
      if (alone && inside.length) {
        const lines = inside.map((name) => ({ label: words(name, inside.length > 1), points: points(0, name) }));
        wanted.push([title, note, lines, options]);
      }
      for (const name of alone ? [] : inside) {
        const lines = states.map((state, index) => ({ label: state.label, colour: index, points: points(index, name) }));
        wanted.push([inside.length > 1 ? `${title}: ${words(name, true)}` : title, name === inside[0] ? note : "", lines.filter((line) => line.points.length), options]);
      }
    }
    for (const [title, plotted] of made) {
      if (wanted.some(([each]) => each === title)) continue;
      plotted.close();
      plotted.element.remove();
      made.delete(title);
    }
    for (const [title, note, lines, options] of wanted) {
      if (!made.has(title)) made.set(title, plot(title, note));
      const plotted = made.get(title);
      if (plotted.element.parentNode !== plots) plots.append(plotted.element);
      plotted.draw(lines, { ...options, x: AXES[axis.value] });
    }
    if (!wanted.length) plots.replaceChildren(make("p", { class: "note" }, "The first metrics come a second after the training has begun."));
    else plots.querySelector(":scope > .note")?.remove();
  }

  function points(index, name) {
    const { columns: found } = columns[index];
    const [xs, ys] = [found[axis.value] ?? [], found[name] ?? []];
    return ys.map((y, at) => [xs[at], y ?? NaN]).filter(([x, y]) => Number.isFinite(x) && Number.isFinite(y));
  }

  function drawEvaluations() {
    const rows = states.flatMap((state) => state.evaluations.map((each) => [state, each]));
    const now = JSON.stringify(rows.map(([state, each]) => [state.label, each]));
    if (now === evaluated) return;
    evaluated = now;
    evaluations.hidden = !rows.length;
    if (!rows.length) return;
    const figures = [...new Set(rows.flatMap(([, each]) => each.figures.map(({ name }) => name)))];
    const several = states.length > 1;
    const head = [...(several ? ["run"] : []), "round", ...figures, ""].map((text) => make("th", { scope: "col" }, text));
    evaluations.replaceChildren(make("h3", {}, "Evaluations"), make("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Evaluations" },
      make("table", {}, make("thead", {}, make("tr", {}, head)), make("tbody", {}, rows.toReversed().map(([state, each]) =>
        make("tr", {}, several ? make("td", {}, state.label) : null, make("td", {}, each.round.toLocaleString("en")),
          figures.map((name) => make("td", {}, each.figures.find((figure) => figure.name === name)?.text ?? "–")),
          make("td", {}, each.failed ? `failed: ${each.failed}` : each.best ? `best by ${each.by} so far` : "")))))));
  }

  await ask().catch(api.fail);
  follow();
  return () => {
    end.abort();
    movie.close();
    for (const plotted of made.values()) plotted.close();
  };
}

/** A metric as words: its name, or only the part after what it has in common with the others of a plot. */
const words = (name, last) => (last ? name.split("/").at(-1) : name.split("/").join(" ")).replaceAll(/[-_]/g, " ");

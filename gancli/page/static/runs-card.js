// What a run is, how far it came, and what the health monitor has found.

import { make } from "./parts.js";
import { short } from "./plot.js";

const STATES = {
  running: "training", finished: "finished", unfinished: "not finished", stopped: "stopped by the health monitor",
  diverged: "diverged", broken: "broken", waiting: "starting",
};

export function clock(seconds) {
  if (seconds === null || seconds === undefined) return "–";
  const whole = Math.round(seconds);
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${String(whole % 60).padStart(2, "0")} s`;
  return `${Math.floor(whole / 3600)} h ${String(Math.floor((whole % 3600) / 60)).padStart(2, "0")} min`;
}

/** The card of a run; `show(state)` keeps what is open in it. */
export function card(index, count) {
  const title = make("h2", { class: count > 1 ? `key line-${index % 8 + 1}` : "" });
  const chip = make("span", { class: "state" });
  const what = make("p", { class: "note" });
  const bar = make("progress", { max: 1 });
  const facts = make("dl", { class: "facts" });
  const fault = make("p", { class: "fault" });
  const findings = make("ul", { class: "findings", "aria-label": "Health" });
  const element = make("section", { class: "panel card" },
    make("div", { class: "row between" }, title, chip), what, bar, facts, fault, findings);
  let told = "";

  function show(state) {
    element.className = `panel card ${state.state}`;
    element.setAttribute("aria-label", state.label);
    title.textContent = state.label;
    chip.textContent = STATES[state.state] ?? state.state;
    what.textContent = state.state === "waiting" ? `${state.folder} will be here once the training begins.` : `${state.model} on ${state.data}`;
    bar.value = state.budget ? Math.min(1, state.round / state.budget) : 0;
    bar.setAttribute("aria-label", `Progress of ${state.label}`);
    facts.replaceChildren(...factsOf(state).map(([name, value]) => make("div", {}, make("dt", {}, name), make("dd", {}, value))));
    fault.textContent = state.broken;
    fault.hidden = !state.broken;
    const now = JSON.stringify([state.findings, state.previews > 0, state.findings.length ? 0 : state.previews]);
    if (now !== told) findings.replaceChildren(...health(state));
    told = now;
  }
  return { element, show };
}

function factsOf(state) {
  const budget = state.budget ? ` of ${state.budget.toLocaleString("en")}` : "";
  return [
    ["round", `${state.round.toLocaleString("en")}${budget}`],
    ["trained for", clock(state.seconds)],
    ...(state.state === "running" ? [["left, about", clock(state.eta)]] : []),
    ["images a second", short(state.images_per_second)],
  ];
}

function health(state) {
  if (!state.findings.length) {
    const many = `${state.previews} preview${state.previews === 1 ? "" : "s"}`;
    return [make("li", { class: "note" }, state.previews ? `Health: nothing found in ${many}.` : "Health: checked with the first sample grids.")];
  }
  return state.findings.map((finding) => {
    const [since, until] = [finding.since, finding.until].map((round) => round?.toLocaleString("en"));
    return make("li", { class: finding.active ? "active" : "past" },
      make("details", { open: finding.active },
        make("summary", {}, make("b", {}, finding.name.replaceAll("-", " ")), ` since round ${since}${until ? `, until round ${until}` : ""}`),
        make("p", {}, `Seen: ${finding.text}.`), make("p", {}, finding.meaning), make("p", {}, make("b", {}, "Try "), finding.advice)));
  });
}

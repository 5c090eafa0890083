// The film of a training: its sample grids, with a slider over time.

import { button, field, make } from "./parts.js";

const FRAME = 150; // milliseconds of a frame that plays

/** `show(states)` takes the newest states; the last grid is shown until the slider is moved. */
export function film(api) {
  const image = make("img", { alt: "", hidden: true });
  const empty = make("p", { class: "note empty" }, "The first sample grid comes with the first preview.");
  const caption = make("output");
  const slider = make("input", { type: "range", min: 0, max: 0, step: 1, input: () => { stop(); newest = +slider.value === +slider.max; paint(); } });
  const play = button("Play", () => (timer === null ? start() : stop()), { "aria-pressed": "false" });
  const which = make("select", { change: () => { newest = true; adopt(); } });
  const choice = field("Run", which);
  const element = make("section", { class: "film", "aria-label": "Samples over time" },
    make("div", { class: "row between" }, make("h2", {}, "Samples"), choice), make("div", { class: "frame" }, image, empty),
    make("div", { class: "row" }, play, caption), field("Round", slider));
  let states = [];
  let rounds = [];
  let newest = true;
  let timer = null;
  let shown = "";

  function show(now) {
    states = now;
    const labels = now.map(({ label }) => label).join("\n");
    if (which.dataset.labels !== labels) {
      which.dataset.labels = labels;
      which.replaceChildren(...now.map(({ label }, index) => make("option", { value: index }, label)));
      choice.hidden = now.length < 2;
    }
    adopt();
  }

  function adopt() {
    const state = states[+which.value || 0];
    rounds = state?.samples ?? [];
    slider.max = Math.max(0, rounds.length - 1);
    slider.disabled = play.disabled = rounds.length < 2;
    if (newest) slider.value = slider.max;
    paint();
  }

  function paint() {
    image.hidden = !rounds.length;
    empty.hidden = rounds.length > 0;
    if (!rounds.length) return;
    const [index, run] = [Math.min(+slider.value, rounds.length - 1), +which.value || 0];
    const text = `round ${rounds[index].toLocaleString("en")}, ${index + 1} of ${rounds.length}`;
    slider.setAttribute("aria-valuetext", text);
    caption.textContent = newest && timer === null ? `${text}, the newest` : text;
    image.alt = `Samples of ${states[run].label} in ${text}`;
    const address = `api/runs/${run}/samples/${rounds[index]}.png`;
    if (address === shown) return;
    shown = address;
    image.src = address;
  }

  function start() {
    if (+slider.value === +slider.max) slider.value = 0;
    newest = false;
    play.textContent = "Pause";
    play.setAttribute("aria-pressed", "true");
    timer = setInterval(() => {
      if (!image.complete) return;
      slider.value = +slider.value + 1;
      if (+slider.value >= +slider.max) {
        newest = true;
        stop();
      }
      paint();
    }, FRAME);
  }

  function stop() {
    clearInterval(timer);
    timer = null;
    play.textContent = "Play";
    play.setAttribute("aria-pressed", "false");
  }

  image.addEventListener("load", () => image.classList.toggle("pixels", image.naturalWidth * 2 <= image.clientWidth * devicePixelRatio));
  image.addEventListener("error", () => { shown = ""; });
  return { element, show, close: stop };
}

// The lab: a GAN of points in the plane, trained before one's eyes.

import { controls } from "./lab-controls.js";
import { drawReal, placing, plane, unpacked } from "./lab-canvas.js";
import { FIGURES, LAYERS, LESSONS, SPEEDS, STAGES } from "./lab-words.js";
import { button, commandLine, download, field, make } from "./parts.js";
import { plot, short } from "./plot.js";

const MOST_POINTS = 1200; // of curves on the page; of more, every other one is dropped
const PIXELS_APART = 4; // of drawn points, at least
const STAMP = 20; // points that Enter draws at the cross

export async function mount(element, api) {
  const end = new AbortController();
  element.append(make("p", { class: "wait" }, "Starting PyTorch, which takes some seconds …"));
  const pane = plane();
  const layers = Object.fromEntries(Object.keys(LAYERS).map((name) => [name, true]));
  const losses = plot("Losses", "Neither is a score: they rise and fall with the other side. When both stay level, the sides are in balance.");
  const outputs = plot("D's mean output", "1 for what D takes for real, 0 for a fake. Both at 0.5: D can only guess, which is the end of the game.");
  let state = await api.get("state", end.signal);
  let real = null;
  let frame = null;
  let curves = [];
  let sketch = null;
  let plotted = 0;

  // Running.
  const run = button("Run", () => go(running() ? "paused" : speed.value), { class: "first", "aria-keyshortcuts": "Space" });
  const speed = make("select", { change: () => running() && go(speed.value) },
    Object.entries(SPEEDS).map(([value, text]) => make("option", { value, selected: value === "steady" }, text)));
  const running = () => state.speed !== "paused";
  const stepping = [["discriminator", "Step D"], ["generator", "Step G"], ["both", "Step both"]].map(([player, text]) =>
    button(text, () => post("step", { player }), { title: player === "both" ? "One round: D, then G" : `One step of ${text.at(-1)} alone` }));
  const restart = button("Restart", () => change("restart", {}), { title: "Back to the first weights of this seed" });
  const round = make("output", { class: "round" });
  const stage = make("p", { class: "note stage-note" });
  const facts = make("dl", { class: "facts" });

  const toggles = make("fieldset", { class: "layers" }, make("legend", {}, "Show"),
    Object.entries(LAYERS).map(([name, [title, text]]) => make("label", { class: `check layer ${name}`, title: text },
      make("input", { type: "checkbox", checked: true, change: (event) => { layers[name] = event.target.checked; paint(); } }), title)));

  // Settings, the log, and what to take away.
  const panel = controls({ settings: (values) => change("settings", values), draw: () => startSketch() });
  const lesson = make("p", { class: "note", role: "status" });
  const lessons = make("section", { class: "panel lessons" }, make("h3", {}, "Try this"),
    make("div", { class: "row" }, LESSONS.map(([title, values, text]) => button(title, async () => {
      lesson.textContent = text;
      await change("settings", { ...state.settings, dim: 2, ...values });
      await change("restart", {});
      await go("fast");
    }))), lesson);
  const log = make("ol", { class: "log", tabindex: "0", "aria-label": "Changes, by round" });
  const command = commandLine();
  const points = button("Save the points", () => save(state.own, "text/csv"));
  const taking = make("section", { class: "panel taking" }, make("h3", {}, "Take it with you"),
    make("p", { class: "note" }, "What is trained here is no run and is not kept. The recipe trains it properly: for 20,000 rounds, with decaying learning rates."),
    make("div", { class: "row" }, button("Save as recipe", () => save("lab.toml", "application/toml")), points), command.element);

  // Drawing data.
  const count = make("output");
  const use = button("Train on these", () => endSketch(true), { class: "first" });
  const sketching = make("div", { class: "sketching", hidden: true },
    make("p", { class: "note" }, "Draw with the pointer. By keyboard: arrow keys move the cross, Enter draws a cluster there."),
    make("div", { class: "row" }, use, button("Clear", () => { sketch.points = []; paint(); }), button("Cancel", () => endSketch(false)), count));
  const transport = make("div", { class: "transport" },
    make("div", { class: "row" }, run, field("Speed", speed), round), make("div", { class: "row" }, ...stepping, restart), stage);

  element.replaceChildren(
    make("div", { class: "intro" }, make("h2", {}, "Lab"),
      make("p", { class: "note" }, "Two networks play a game. G makes points of random numbers; D learns to tell them from real ones, and shows G with that which way to move them.")),
    make("div", { class: "left" }, make("section", { class: "stage", "aria-label": "The plane" }, pane.canvas, sketching, transport, toggles), lessons),
    panel.element,
    make("section", { class: "seen" }, facts, losses.element, outputs.element), taking, make("section", { class: "panel" }, make("h3", {}, "Log"), log));

  async function attempt(work) {
    try {
      api.say("");
      return await work();
    } catch (error) {
      api.fail(error);
      return null;
    }
  }

  const post = (path, body) => attempt(() => api.post(path, body, end.signal));

  async function go(wanted) {
    const answer = await post("run", { speed: wanted });
    if (answer) setSpeed(answer.speed);
  }

  async function change(path, body) {
    const answer = await post(path, body);
    take(answer ?? state);
  }

  function setSpeed(now) {
    state.speed = now;
    if (running()) speed.value = now;
    run.textContent = running() ? "Pause" : "Run";
    run.setAttribute("aria-pressed", running());
  }

  /** A whole state of the server. */
  function take(now) {
    state = now;
    real = { ...state.real, points: unpacked(state.real.points, Float32Array) };
    curves = state.curves.map(([at, values]) => [at, values]);
    panel.show(state);
    setSpeed(state.speed);
    log.replaceChildren(...state.log.toReversed().map(([at, text]) => make("li", {}, make("b", {}, at.toLocaleString("en")), ` ${text}`)));
    if (!state.log.length) log.append(make("li", { class: "note" }, "Every change of a setting is listed here."));
    points.hidden = state.own !== "drawn.csv" || state.settings.data !== "own";
    command.show(`${api.program} train ${/^[\w./-]+$/.test(state.data) ? state.data : `'${state.data.replaceAll("'", "'\\''")}'`} --model lab.toml`,
      points.hidden ? "" : "With both files in the folder that it is typed in.");
    plotAll();
    paint();
  }

  /** Frames, one after the other, for as long as the view is open. */
  async function follow() {
    let number = -1;
    while (!end.signal.aborted) {
      try {
        const found = await api.get(`frame?after=${number}`, end.signal);
        if (found) {
          number = found.number;
          show(found);
          await new Promise(requestAnimationFrame);
        }
      } catch (error) {
        if (error.name === "AbortError") return;
        api.fail(error);
        await new Promise((done) => setTimeout(done, 2000));
      }
    }
  }

  function show(found) {
    frame = {
      ...found, opinion: unpacked(found.opinion, Uint8Array),
      ...Object.fromEntries(["manifold", "fakes", "arrows"].map((name) => [name, unpacked(found[name], Float32Array)])),
    };
    if (found.speed !== state.speed) setSpeed(found.speed);
    stage.textContent = found.diverged ? "A value is not finite any more: restart with smaller learning rates."
      : found.speed === "slow" || found.speed === "paused" ? STAGES[found.stage] : "";
    pane.canvas.dataset.round = found.round;
    round.textContent = `Round ${found.round.toLocaleString("en")}`;
    if (found.round === 0) curves = [];
    if (Object.keys(found.losses).length && (curves.at(-1)?.[0] ?? -1) < found.round) {
      curves.push([found.round, { ...found.losses, ...found.figures }]);
      if (curves.length > MOST_POINTS) curves = curves.filter((_, index) => index % 2);
    }
    // Curves change slowly, and cost as much as the plane.
    if (found.speed === "paused" || performance.now() - plotted > 200) plotAll();
    paint();
  }

  function plotAll() {
    plotted = performance.now();
    const line = (label, name) => ({ label, points: curves.map(([at, values]) => [at, values[name] ?? NaN]) });
    losses.draw([line("D", "loss/discriminator"), line("G", "loss/generator")], { x: "rounds" });
    const [onReal, onFake] = [line("on real points", "probability/real"), line("on fakes", "probability/fake")];
    outputs.element.hidden = curves.length > 0 && !onReal.points.some(([, value]) => Number.isFinite(value));
    outputs.draw([onReal, onFake], { x: "rounds", y: [0, 1] });
    const figures = frame?.figures ?? {};
    const rows = Object.entries(FIGURES).filter(([name]) => figures[name] !== undefined).map(([name, text]) =>
      [text, name === "modes" ? `${figures.modes} of ${figures.of}` : `${Math.round(100 * figures[name])} %`]);
    if (frame) rows.push(["mean pull on a fake", short(frame.force)]);
    facts.replaceChildren(...rows.map(([text, value]) => make("div", {}, make("dt", {}, text), make("dd", {}, value))));
  }

  function paint() {
    if (sketch) {
      paintSketch();
      return;
    }
    pane.draw(frame, real, layers);
    const figures = facts.textContent ? `. ${[...facts.children].map((row) => `${row.firstChild.textContent}: ${row.lastChild.textContent}`).join(", ")}` : "";
    pane.canvas.setAttribute("aria-label", `Real points and fakes in the plane, round ${frame?.round ?? 0}${figures}`);
  }

  function startSketch() {
    go("paused");
    sketch = { points: [], cross: [0, 0], limits: [-2.5, 2.5] };
    [sketching.hidden, transport.hidden, toggles.hidden] = [false, true, true];
    pane.canvas.setAttribute("aria-label", "Draw points: arrow keys move the cross, Enter draws a cluster");
    pane.canvas.focus();
    paint();
  }

  async function endSketch(keep) {
    const { points: drawn } = sketch;
    if (keep) {
      const answer = await post("points", { points: drawn });
      if (!answer) return;
      sketch = null;
      take(answer);
    }
    sketch = null;
    [sketching.hidden, transport.hidden, toggles.hidden] = [true, false, false];
    paint();
    if (keep) go("fast");
  }

  function addPoint(x, y, width) {
    const normal = () => Math.sqrt(-2 * Math.log(1 - Math.random())) * Math.cos(2 * Math.PI * Math.random());
    if (sketch.points.length < 5000) sketch.points.push([x + width * normal(), y + width * normal()].map((value) => +value.toFixed(4)));
  }

  function paintSketch() {
    const { context, side, colours } = pane.begin();
    const at = placing(sketch.limits, side);
    drawReal(context, at, sketch.points.flat(), colours);
    const [x, y] = [at.x(sketch.cross[0]), at.y(sketch.cross[1])];
    context.strokeStyle = colours.arrow;
    context.beginPath();
    for (const [dx, dy] of [[8, 0], [0, 8]]) {
      context.moveTo(x - dx, y - dy);
      context.lineTo(x + dx, y + dy);
    }
    context.stroke();
    count.textContent = `${sketch.points.length.toLocaleString("en")} points`;
    use.disabled = sketch.points.length < 10;
  }

  let pen = null;
  pane.canvas.addEventListener("pointerdown", (event) => { if (sketch) { pen = null; pane.canvas.setPointerCapture(event.pointerId); stroke(event); } });
  pane.canvas.addEventListener("pointermove", (event) => sketch && event.buttons && stroke(event));
  function stroke(event) {
    if (pen && Math.hypot(event.offsetX - pen[0], event.offsetY - pen[1]) < PIXELS_APART) return;
    pen = [event.offsetX, event.offsetY];
    const [low, high] = sketch.limits;
    const scale = (high - low) / pane.canvas.clientWidth;
    sketch.cross = [low + pen[0] * scale, high - pen[1] * scale];
    for (let time = 0; time < 4; time += 1) addPoint(...sketch.cross, 0.03);
    paint();
  }
  pane.canvas.addEventListener("keydown", (event) => {
    const move = { ArrowLeft: [-0.1, 0], ArrowRight: [0.1, 0], ArrowUp: [0, 0.1], ArrowDown: [0, -0.1] }[event.key];
    if (!sketch || !(move || event.key === "Enter")) return;
    event.preventDefault();
    if (move) sketch.cross = sketch.cross.map((value, axis) => Math.max(-2.5, Math.min(2.5, value + move[axis])));
    else for (let time = 0; time < STAMP; time += 1) addPoint(...sketch.cross, 0.05);
    paint();
  });
  addEventListener("keydown", (event) => {
    if (event.key !== " " || sketch || event.target.closest("button, input, select, a, [tabindex='0']:not(canvas)")) return;
    event.preventDefault();
    go(running() ? "paused" : speed.value);
  }, { signal: end.signal });

  async function save(name, type) {
    const path = name === "lab.toml" ? name : "drawn.csv";
    const response = await attempt(() => fetch(`api/lab/${path}`));
    if (response?.ok) download(await response.arrayBuffer(), path, type);
  }

  take(state);
  follow();
  return () => {
    end.abort();
    pane.close();
    losses.close();
    outputs.close();
  };
}

// The page itself; in one module with random.js, which stands before it.

const THUMBNAILS = 24;
const MOST = 2 ** 32 - 1;
const byId = (id) => document.getElementById(id);
const about = JSON.parse(byId("metadata").textContent);
const { spec } = about;
const [channels, height, width] = about.shape;

/** The bytes of a part of this file: gzip in base64. */
async function unpacked(id) {
  const text = byId(id).textContent;
  byId(id).remove();
  const packed = Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

let ort;
let session;

async function start() {
  const address = URL.createObjectURL(new Blob([await unpacked("runtime")], { type: "text/javascript" }));
  ort = await import(address);
  URL.revokeObjectURL(address);
  Object.assign(ort.env.wasm, { numThreads: 1, proxy: false, wasmBinary: (await unpacked("wasm")).buffer });
  session = await ort.InferenceSession.create(await unpacked("model"), { executionProviders: ["wasm"] });
}

/** What the generator takes for a seed, with what the controls say: z, weights of the classes y, codes c. */
function pointOf(seed) {
  const drawn = latents(seed, spec);
  const limit = truncation();
  const z = about.strategy === "z-cutoff" && limit !== null ? cutOff(drawn.z, limit, spec.distribution) : drawn.z;
  const chosen = byId("class").value;
  const y = new Float32Array(spec.classes);
  if (spec.classes) y[chosen === "" ? drawn.y : Number(chosen)] = 1;
  return { z, y, c: byId("own-codes").checked ? drawn.c : Float32Array.from(codeInputs, (input) => input.value) };
}

function mixed(a, b, t) {
  return { z: between(a.z, b.z, t, spec.distribution), y: between(a.y, b.y, t), c: between(a.c, b.c, t) };
}

/** The images of points: Float32Array (N, C, H, W) in [0, 1]. */
async function generate(points) {
  const feeds = {};
  for (const name of ["z", "y", "c"]) {
    const size = points[0][name].length;
    if (!size) continue;
    const rows = new Float32Array(points.length * size);
    points.forEach((point, row) => rows.set(point[name], row * size));
    feeds[name] = new ort.Tensor("float32", rows, [points.length, size]);
  }
  if (about.strategy === "w-psi") feeds.psi = new ort.Tensor("float32", [truncation() ?? 1], []);
  const { images } = await session.run(feeds);
  return images.data;
}

/** Draw the image at a position of generated ones, in its own pixels. */
function draw(canvas, images, position) {
  canvas.width = width;
  canvas.height = height;
  const size = height * width;
  const picture = new ImageData(width, height);
  const value = (channel, pixel) => 255 * images[(position * channels + channel) * size + pixel];
  for (let pixel = 0; pixel < size; pixel++) {
    const alpha = channels % 2 ? 255 : Math.round(value(channels - 1, pixel));
    // Colours are premultiplied; a canvas takes straight ones, rounded and cut off as it stores them.
    for (let channel = 0; channel < 3; channel++) {
      picture.data[4 * pixel + channel] = alpha && value(channels < 3 ? 0 : channel, pixel) * (255 / alpha);
    }
    picture.data[4 * pixel + 3] = alpha;
  }
  canvas.getContext("2d").putImageData(picture, 0, 0);
}

/** What runs work one after the other, and leaves out what is no longer asked for. */
function latest(work) {
  let running = false;
  let again = false;
  return async () => {
    again = true;
    if (running) return;
    running = true;
    try {
      while (again) {
        again = false;
        await turn(work);
      }
    } finally {
      running = false;
    }
  };
}

let queue = Promise.resolve();

/** One work at a time: the runtime takes no second image before the first is done. */
function turn(work) {
  queue = queue.then(work).catch(fail);
  return queue;
}

const codeInputs = [];
let first = 0;

const seedOf = (input) => Math.min(MOST, Math.max(0, Math.trunc(Number(input.value)) || 0));

function truncation() {
  const input = byId("truncation");
  const off = about.strategy === "w-psi" ? 1 : Number(input.max);
  return Number(input.value) === off ? null : Number(input.value);
}

const showImage = latest(async () => {
  const [seed, target, t] = [seedOf(byId("seed")), seedOf(byId("target")), Number(byId("position").value)];
  const point = t === 0 ? pointOf(seed) : t === 1 ? pointOf(target) : mixed(pointOf(seed), pointOf(target), t);
  draw(byId("image"), await generate([point]), 0);
  const own = spec.classes && byId("class").value === "" ? `, class ${about.classes[latents(seed, spec).y]}` : "";
  const part = Math.round(100 * t);
  const text = t === 0 ? `Seed ${seed}${own}` : t === 1 ? `Seed ${target}` : `${part} % from seed ${seed} to ${target}`;
  byId("caption").textContent = text;
  byId("image").setAttribute("aria-label", `Generated image: ${text}`);
  byId("image").dataset.shown = JSON.stringify([seed, target, t, byId("class").value, truncation()]);
});

const showSeeds = latest(async () => {
  const seeds = Array.from({ length: Math.min(THUMBNAILS, MOST - first + 1) }, (_, i) => first + i);
  const images = await generate(seeds.map(pointOf));
  const buttons = byId("seeds").children;
  for (let i = 0; i < THUMBNAILS; i++) {
    buttons[i].hidden = i >= seeds.length;
    if (i >= seeds.length) continue;
    draw(buttons[i].firstChild, images, i);
    buttons[i].lastChild.textContent = seeds[i];
    buttons[i].setAttribute("aria-label", `Seed ${seeds[i]}`);
  }
  mark();
});

function mark() {
  const seed = seedOf(byId("seed"));
  [...byId("seeds").children].forEach((button, i) => button.setAttribute("aria-pressed", String(first + i === seed)));
}

function choose(seed) {
  byId("seed").value = seed;
  settle();
}

/** After a change of the seed: its image, and the seeds around it. */
function settle() {
  byId("position").value = 0;
  stop();
  const seed = seedOf(byId("seed"));
  const page = Math.floor(seed / THUMBNAILS) * THUMBNAILS;
  if (page !== first) {
    first = page;
    showSeeds();
  }
  mark();
  showOwnCodes();
  showPosition();
  showImage();
}

/** After a change that concerns every image. */
function refresh() {
  showTruncation();
  showImage();
  showSeeds();
}

function showTruncation() {
  const value = truncation();
  byId("truncation-value").textContent = value === null ? "off" : value.toFixed(2);
}

function showPosition() {
  byId("position-value").textContent = `${Math.round(100 * byId("position").value)} %`;
}

function showOwnCodes() {
  if (byId("own-codes").checked) {
    const { c } = latents(seedOf(byId("seed")), spec);
    codeInputs.forEach((input, i) => (input.value = c[i]));
  }
  codeInputs.forEach((input) => (input.nextElementSibling.textContent = Number(input.value).toFixed(2)));
}

let playing = 0;

function stop() {
  cancelAnimationFrame(playing);
  playing = 0;
  byId("play").textContent = "Play";
  byId("play").setAttribute("aria-pressed", "false");
}

/** There and back again, three seconds each way. */
function play() {
  byId("play").textContent = "Pause";
  byId("play").setAttribute("aria-pressed", "true");
  const began = performance.now() - 3000 * byId("position").value;
  const frame = (now) => {
    const way = (Math.max(0, now - began) / 3000) % 2;
    byId("position").value = way < 1 ? way : 2 - way;
    showPosition();
    showImage();
    playing = requestAnimationFrame(frame);
  };
  playing = requestAnimationFrame(frame);
}

function download() {
  const [seed, target, t] = JSON.parse(byId("image").dataset.shown);
  const link = document.createElement("a");
  const walk = t ? `-to-${target}-at-${Math.round(100 * t)}` : "";
  link.download = `${about.stem}-seed${seed}${walk}.png`;
  byId("image").toBlob((blob) => {
    link.href = URL.createObjectURL(blob);
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10000);
  });
}

function build() {
  document.documentElement.style.setProperty("--aspect", width / height);
  const licence = about.licence ? ` (${about.licence})` : "";
  const data = about.data ? `trained on ${about.data}${licence}; ` : "";
  byId("about").textContent = `${width}×${height} pixels; ${data}generated in this browser, without a network`;
  for (const [term, text] of about.facts) {
    byId("facts").append(Object.assign(document.createElement("dt"), { textContent: term }));
    byId("facts").append(Object.assign(document.createElement("dd"), { textContent: text }));
  }
  byId("command").textContent = about.command.replaceAll("`", "");
  if (spec.classes) {
    byId("class-part").hidden = false;
    byId("class").append(new Option("each seed's own", ""), ...about.classes.map((name, i) => new Option(name, i)));
  }
  byId("codes-part").hidden = !spec.codes;
  for (let i = 0; i < spec.codes; i++) {
    const row = Object.assign(document.createElement("label"), { className: "row", textContent: `Code ${i}` });
    const input = Object.assign(document.createElement("input"), { type: "range", min: -2, max: 2, step: 0.01 });
    row.append(input, document.createElement("output"));
    byId("codes").append(row);
    codeInputs.push(input);
    input.addEventListener("input", () => {
      byId("own-codes").checked = false;
      showOwnCodes();
      refresh();
    });
  }
  const most = about.strategy === "w-psi" ? 1.5 : spec.distribution === "uniform" ? 1 : 3;
  const least = about.strategy === "w-psi" ? 0 : 0.1;
  Object.assign(byId("truncation"), { min: least, max: most, step: 0.05, value: about.strategy === "w-psi" ? 1 : most });
  byId("truncation-text").textContent =
    about.strategy === "w-psi" ? "Factor psi: lower is more typical" : "Limit of latents: lower is more typical";
  for (let i = 0; i < THUMBNAILS; i++) {
    const button = Object.assign(document.createElement("button"), { type: "button" });
    button.append(document.createElement("canvas"), document.createElement("span"));
    button.addEventListener("click", () => choose(first + i));
    byId("seeds").append(button);
  }
}

function listen() {
  const on = (id, event, act) => byId(id).addEventListener(event, act);
  document.querySelector("form").addEventListener("submit", (event) => event.preventDefault());
  on("seed", "input", settle);
  on("seed", "change", () => choose(seedOf(byId("seed"))));
  on("random", "click", () => choose(crypto.getRandomValues(new Uint32Array(1))[0]));
  on("class", "change", refresh);
  on("own-codes", "change", () => {
    showOwnCodes();
    refresh();
  });
  on("truncation", "input", refresh);
  on("target", "input", showImage);
  on("target", "change", () => (byId("target").value = seedOf(byId("target"))));
  on("play", "click", () => (playing ? stop() : play()));
  on("position", "input", () => {
    stop();
    showPosition();
    showImage();
  });
  on("before", "click", () => move(-THUMBNAILS));
  on("after", "click", () => move(THUMBNAILS));
  on("download", "click", download);
}

function move(step) {
  const last = Math.floor(MOST / THUMBNAILS) * THUMBNAILS;
  first = Math.min(last, Math.max(0, first + step));
  showSeeds();
}

function fail(error) {
  byId("status").textContent = `This page does not work here: ${error.message ?? error}. It needs a browser of 2023 or newer.`;
}

try {
  build();
  await start();
  listen();
  byId("app").hidden = false;
  byId("status").textContent = "";
  showTruncation();
  showSeeds();
  settle();
} catch (error) {
  fail(error);
}

// The shell: navigation from what the server has, one view at a time, the API that views get.

import { make } from "./parts.js";

const byId = (id) => document.getElementById(id);
const message = byId("message");

/** Show a message, or none. */
function say(text, fault = false) {
  message.textContent = text;
  message.classList.toggle("fault", fault);
}

/** An error in words: what is wrong, and what to do instead. */
class Refused extends Error {
  constructor(status, answer) {
    super(answer.hint ? `${answer.error}. ${answer.hint[0].toUpperCase()}${answer.hint.slice(1)}.` : answer.error);
    this.status = status;
  }
}

async function request(path, options) {
  let response;
  try {
    response = await fetch(path, options);
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Error("gancli does not answer. Start it again, and reload this page.");
  }
  if (response.ok) return response;
  const answer = await response.json().catch(() => ({}));
  throw new Refused(response.status, { error: `The server answered ${response.status}`, ...answer });
}

/** What a view works with. Paths are those of its own part of the API. */
function api(view, about) {
  const at = (path) => `api/${view}/${path}`;
  const post = (path, body, signal) => request(at(path), {
    method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body), signal,
  });
  return {
    /** The words that start gancli in a terminal. */
    program: about.program,
    /** JSON of a GET. */
    get: async (path, signal) => (await request(at(path), { signal })).json(),
    /** JSON of a POST. */
    post: async (path, body, signal) => (await post(path, body, signal)).json(),
    /** { headers, data }: the bytes of a POST's answer. */
    bytes: async (path, body, signal) => {
      const response = await post(path, body, signal);
      return { headers: response.headers, data: await response.arrayBuffer() };
    },
    /** The result of a POST that answers with lines of JSON; `take` gets those before it. */
    lines: async (path, body, signal, take) => {
      const reader = (await post(path, body, signal)).body.pipeThrough(new TextDecoderStream()).getReader();
      for (let text = ""; ;) {
        const { done, value } = await reader.read();
        if (done) throw new Error("gancli has ended before it was done.");
        const lines = (text + value).split("\n");
        text = lines.pop();
        for (const line of lines.map(JSON.parse)) {
          if (line.error) throw new Refused(200, line);
          if (line.result) return line.result;
          take(line);
        }
      }
    },
    /** What the address says after `#VIEW?`, URLSearchParams. */
    params: () => new URLSearchParams(location.hash.split("?")[1] ?? ""),
    /** Set it, without a step in the browser's history. */
    keep: (params) => history.replaceState(null, "", `#${view}${params.size ? `?${params}` : ""}`),
    /** Show a message, or none with "". */
    say: (text) => say(text),
    /** Show an error. */
    fail: (error) => { if (error.name !== "AbortError") say(error.message, true); },
  };
}

let current = null;
let leave = null;

async function open(about) {
  const asked = location.hash.slice(1).split("?")[0];
  const view = about.views.find(({ name }) => name === asked) ?? about.views[0];
  if (view.name === current) return;
  current = view.name;
  leave?.();
  leave = null;
  say("");
  for (const link of byId("views").children) {
    if (link.dataset.view === view.name) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  if (view.style && !document.querySelector(`link[href="static/${view.name}.css"]`)) {
    const sheet = make("link", { rel: "stylesheet", href: `static/${view.name}.css` });
    const loaded = new Promise((done) => sheet.addEventListener("load", done));
    document.head.append(sheet);
    await loaded;
  }
  const element = make("div", { class: `view ${view.name}` });
  byId("view").replaceChildren(element);
  document.title = about.views.length > 1 ? `${view.title} · gancli` : "gancli";
  try {
    const { mount } = await import(`./${view.name}.js`);
    leave = (await mount(element, api(view.name, about))) ?? null;
  } catch (error) {
    say(error.message, true);
  }
}

try {
  const about = await (await request("api/views")).json();
  const links = about.views.map(({ name, title }) => make("a", { href: `#${name}`, "data-view": name }, title));
  if (links.length > 1) byId("views").append(...links);
  addEventListener("hashchange", () => open(about));
  await open(about);
} catch (error) {
  say(error.message, true);
}

// What views are made of: elements, buttons, commands to copy.

/** An element with attributes, listeners (functions, as in `click`) and children; null and false are left out. */
export function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === "function") element.addEventListener(name, value);
    else if (value !== null && value !== undefined && value !== false) element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

export function button(text, click, attributes = {}) {
  return make("button", { type: "button", click, ...attributes }, text);
}

let fields = 0;

/** A label above a control. */
export function field(text, control, ...after) {
  control.id ||= `field-${++fields}`;
  return make("div", { class: "field" }, make("label", { for: control.id }, text), control, ...after);
}

export async function copy(text) {
  if (navigator.clipboard) return navigator.clipboard.writeText(text);
  // A page of another machine without https has no clipboard but the selection's.
  const area = make("textarea", { class: "unseen", "aria-hidden": "true" }, text);
  document.body.append(area);
  area.select();
  const copied = document.execCommand("copy");
  area.remove();
  if (!copied) throw new Error("The browser does not allow to copy.");
}

/** A button that copies what a function gives, and says so. */
export function copyButton(text, label, give) {
  const made = button(text, async () => {
    try {
      await copy(give());
      made.textContent = "Copied";
    } catch {
      made.textContent = "Not copied";
    }
    setTimeout(() => (made.textContent = text), 1500);
  }, { "aria-label": label });
  return made;
}

/** A command line with a button to copy it; `show` puts another in its place, and a note below it. */
export function commandLine() {
  const code = make("code");
  const note = make("p", { class: "note" });
  const element = make("div", { class: "command" },
    make("pre", { tabindex: "0", "aria-label": "Command line that does the same" }, code),
    copyButton("Copy", "Copy the command line", () => code.textContent), note);
  return { element, show: (text, said = "") => {
    // Lines end between words, and not after a hyphen within one.
    const words = (line) => line.split(" ").flatMap((word, index) => [index ? " " : "", make("span", {}, word)]);
    code.replaceChildren(...text.split("\n").flatMap((line, index) => [index ? "\n" : "", ...words(line)]));
    note.textContent = said;
  } };
}

/** Save bytes as a file. */
export function download(bytes, name, type) {
  const address = URL.createObjectURL(new Blob([bytes], { type }));
  make("a", { href: address, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(address), 10_000);
}

/** What runs work one after the other and drops all but the newest that waits. */
export function latest(work) {
  let running = false;
  let waiting = null;
  return async (...wanted) => {
    waiting = wanted;
    if (running) return;
    running = true;
    try {
      while (waiting) {
        const now = waiting;
        waiting = null;
        await work(...now);
      }
    } finally {
      running = false;
    }
  };
}

/** A row of tabs; `panels` is [[name, title, element], …]. `choose` shows one; arrow keys move. */
export function tabs(label, panels, chosen) {
  const list = make("div", { role: "tablist", "aria-label": label, class: "tabs" });
  const buttons = panels.map(([name, title, panel], index) => {
    panel.setAttribute("role", "tabpanel");
    panel.setAttribute("aria-labelledby", `tab-${name}`);
    panel.id = `panel-${name}`;
    const tab = make("button", { type: "button", role: "tab", id: `tab-${name}`, "aria-controls": panel.id,
      click: () => choose(name),
      keydown: (event) => {
        const step = { ArrowRight: 1, ArrowLeft: -1, Home: -index, End: panels.length - 1 - index }[event.key];
        if (step === undefined) return;
        event.preventDefault();
        const next = panels[(index + step + panels.length) % panels.length][0];
        choose(next);
        document.getElementById(`tab-${next}`).focus();
      } }, title);
    return tab;
  });
  list.append(...buttons);
  function choose(name) {
    panels.forEach(([each, , panel], index) => {
      const here = each === name;
      panel.hidden = !here;
      buttons[index].setAttribute("aria-selected", here);
      buttons[index].tabIndex = here ? 0 : -1;
    });
    chosen(name);
  }
  return { list, choose, names: panels.map(([name]) => name) };
}

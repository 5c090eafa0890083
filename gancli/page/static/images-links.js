// The state of the image that is held, in the address: a link to it shows the same image again.

/** The state of a model that is opened. */
export function fresh(model) {
  return {
    model, seed: 0, found: null, label: null, other: null, share: 0, codes: {}, dims: {}, moves: {}, style: null, layers: [],
    truncation: null, own: { label: null, codes: [], dims: [] },
  };
}

const table = (values) => Object.entries(values).map(([name, value]) => `${name}:${value}`).join(",");

export function write(state, hash, tab) {
  const params = new URLSearchParams({ model: state.model });
  const keep = (name, value) => { if (value !== null && value !== undefined && value !== "") params.set(name, value); };
  keep("hash", hash);
  keep("seed", state.seed);
  keep("class", state.label);
  if (state.other !== null) keep("mix", `${state.other}:${state.share}`);
  keep("truncation", state.truncation);
  for (const name of ["codes", "dims", "moves"]) keep(name, table(state[name]));
  if (state.found) keep("found", JSON.stringify(state.found));
  if (state.style !== null) keep("style", [state.style, ...state.layers].join(","));
  if (tab !== "seeds") keep("tab", tab);
  return params;
}

/** A latent that was found of a picture, from JSON; null for anything else. */
function found(text) {
  try {
    const { name, space, steps, mask, label, codes, values } = JSON.parse(text);
    const numbers = (list) => Array.isArray(list) && list.length <= 10_000 && list.every(Number.isFinite);
    const whole = label === null || Number.isInteger(label);
    if (typeof name !== "string" || !Number.isInteger(steps) || !whole || !numbers(codes) || !numbers(values)) return null;
    return { name, space: space === null ? null : String(space), steps, mask: mask === true, label, codes, values };
  } catch {
    return null;
  }
}

/** { state, hash, tab } of an address, whatever somebody wrote there: the server refuses what cannot be. */
export function read(params, model) {
  const state = fresh(params.get("model") ?? model);
  const whole = (name) => (/^\d{1,10}$/.test(params.get(name) ?? "") ? Number(params.get(name)) : null);
  const pairs = (name) => Object.fromEntries((params.get(name) ?? "").split(",").filter(Boolean)
    .map((part) => [part.slice(0, part.lastIndexOf(":")), Number(part.slice(part.lastIndexOf(":") + 1))])
    .filter(([key, value]) => key && Number.isFinite(value)));
  state.seed = whole("seed") ?? 0;
  state.label = whole("class");
  state.found = found(params.get("found"));
  const truncation = Number(params.get("truncation") ?? NaN);
  state.truncation = Number.isFinite(truncation) ? truncation : null;
  for (const name of ["codes", "dims", "moves"]) state[name] = pairs(name);
  const [[other, share] = []] = Object.entries(pairs("mix"));
  if (other !== undefined) Object.assign(state, { other: Number(other), share });
  const [style, ...layers] = (params.get("style") ?? "").split(",").filter(Boolean).map(Number);
  if (Number.isInteger(style)) Object.assign(state, { style, layers });
  return { state, hash: params.get("hash"), tab: params.get("tab") ?? "seeds" };
}

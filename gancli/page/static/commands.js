// The command lines that do what the page does.

/** Steps of a search unless a command names others. */
export const STEPS = 300;

/** A word as a shell reads it. */
export function quoted(text) {
  return /^[\w@%+=:,./-]+$/.test(text) ? text : `'${String(text).replaceAll("'", "'\\''")}'`;
}

/** Words of a command; null and undefined are left out with the option before them. */
function line(program, words) {
  const options = words.flatMap((word) => (Array.isArray(word) ? (word[1] === null || word[1] === undefined ? [] : word) : [word]));
  return [program, ...options.map(quoted)].join(" ");
}

export const number = (value) => String(Number(value.toFixed(4)));

const pairs = (option, table) => Object.entries(table).map(([name, value]) => [option, `${name}=${number(value)}`]);

const classOf = (facts, label) => (label === null || label === undefined ? null : facts.classes[label]);

/** [command, note]: the image that is held. */
export function held(program, state, facts) {
  const { model, seed, truncation, found } = state;
  if (found) {
    const steered = state.label !== null || state.share > 0 || [state.codes, state.dims, state.moves].some((table) => Object.keys(table).length);
    const made = found.mask ? inpaint(program, state, found.name, "mask.png", found.space, found.steps) : reconstruct(program, state, found.name, found.space, found.steps);
    return [made, [found.mask ? "It fills the hole from this image." : "",
      steered || (state.style !== null && state.layers.length) ? "Without what was set since." : ""].filter(Boolean).join(" ")];
  }
  if (state.style !== null && state.layers.length) {
    const alone = state.label === null && !Object.keys(state.codes).length && !Object.keys(state.moves).length;
    return [
      line(program, ["mix", model, "--styles", ["--rows", seed], ["--columns", state.style], ["--layers", ranges(state.layers)], ["--truncation", truncation]]),
      `The last image of the grid${alone ? "." : ", but for class, codes and moves, which this command has not."}`,
    ];
  }
  if (state.other !== null && state.share > 0) {
    const own = classOf(facts, state.label ?? state.own.label);
    return [
      line(program, ["interpolate", model, ["--seeds", `${seed},${seed}`], ["--class", `${own},${classOf(facts, state.other)}`],
        ...pairs("--move", state.moves), ["--frames", 20], ["--truncation", truncation], ["--out", "strip.png"]]),
      `Image ${Math.round(20 * state.share)} of the strip, counted from 0.`,
    ];
  }
  if (Object.keys(state.dims).length) {
    return [
      line(program, ["traverse", model, ["--dims", Object.keys(state.dims).join(",")], ["--seed", seed]]),
      "Each of these dimensions by itself, from end to end; no command sets several.",
    ];
  }
  return [sample(program, state, facts, [seed]), ""];
}

/** Seeds with the class, codes and moves of the image that is held: as a grid of columns, or to a folder or an archive. */
export function sample(program, state, facts, seeds, columns = null, out = null) {
  return line(program, ["sample", state.model, ["--seeds", ranges(seeds)], ["--class", classOf(facts, state.label)],
    ...pairs("--code", state.codes), ...pairs("--move", state.moves), ["--truncation", state.truncation],
    ["--grid", columns && !facts.numbers && seeds.length % columns === 0 ? `${columns}x${seeds.length / columns}` : null], ["--out", out]]);
}

/** A picture that a model reconstructs; `space` is null for the default. */
export function reconstruct(program, state, name, space, steps) {
  return line(program, ["reconstruct", state.model, name, ["--space", space], ["--steps", steps === STEPS ? null : steps]]);
}

/** A hole in a picture that a model fills; the mask is a file. */
export function inpaint(program, state, name, mask, space, steps) {
  return line(program, ["inpaint", state.model, name, ["--mask", mask], ["--space", space], ["--steps", steps === STEPS ? null : steps]]);
}

/** A walk as the server is asked for it, to a file. */
export function walk(program, facts, asked, out) {
  const { model, seeds, labels, truncation, truncations, ease, frames, fps, loop } = asked;
  const limits = truncations.length ? truncations.map((value) => (value === null ? "none" : number(value))).join(",") : truncation;
  return line(program, ["interpolate", model, ["--seeds", seeds.join(",")], ["--class", labels.length ? labels.map((label) => classOf(facts, label)).join(",") : null],
    ["--frames", frames], ["--fps", fps], ...(loop ? ["--loop"] : []), ["--ease", ease === "linear" ? null : ease], ["--truncation", limits], ["--out", out]]);
}

/** Numbers as ranges, as in 0-3,7. */
export function ranges(numbers) {
  const found = [];
  for (const each of numbers) {
    const last = found.at(-1);
    if (last && each === last[1] + 1) last[1] = each;
    else found.push([each, each]);
  }
  return found.map(([a, b]) => (a === b ? `${a}` : `${a}-${b}`)).join(",");
}

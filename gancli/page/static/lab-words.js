// What the lab says: what each control does, and what to look for.

export const DATA = {
  ring: ["Ring", "Eight clusters on a circle. Do the fakes reach all eight?"],
  grid: ["Grid", "Twenty-five clusters: much harder than eight."],
  swissroll: ["Swiss roll", "One long spiral: G has to bend its grid into a thin band."],
  own: ["Your own points", "What you drew, or brought as a CSV."],
};

export const LOSSES = {
  "non-saturating": ["Non-saturating", "G raises D's output on its fakes. The usual choice: it pushes hardest where D is sure that they are fakes."],
  minimax: ["Minimax", "The game as it was first written. Where D is sure, the gradient vanishes: see the arrows shrink to nothing."],
  "least-squares": ["Least squares", "Squares in place of logarithms: fakes are pulled to where D's output is exactly 1."],
  hinge: ["Hinge", "D stops learning from points that it has right by a margin."],
  wasserstein: ["Wasserstein", "D is a critic: it gives scores, not probabilities. Its gradient must be bounded, so choose the gradient penalty or clipping with it."],
  relativistic: ["Relativistic", "D compares each fake with one real point. G is pulled to all of the data, which helps against mode collapse."],
};

export const PENALTIES = {
  none: ["None", "D may become as steep and as sure as it likes. The fakes gather in one spot, D finds them there, they flee to the next: mode collapse."],
  r1: ["R1", "Flattens D around real points: a fake that has arrived there is not pushed away again."],
  "gradient-penalty": ["Gradient penalty", "Keeps D's gradient near 1 between fakes and real points: every fake gets an arrow, and none is very long."],
  dragan: ["DRAGAN", "The gradient penalty around real points only."],
  clip: ["Weight clipping", "Cuts every weight of D to this size after each step. Crude: D stays too simple for fine detail."],
};

/** Weights that suit the penalties on points. */
export const WEIGHTS = { none: 0, r1: 0.02, "gradient-penalty": 0.1, dragan: 0.1, clip: 0.1 };

export const HELP = {
  generator_lr: "How far G moves in a step. Much faster than D, it finds the one spot that fools D, and all fakes go there.",
  discriminator_lr: "How far D moves in a step. A fast D keeps up with G; too fast, the colours flicker.",
  generator_steps: "Steps of G in each round.",
  discriminator_steps: "Steps of D in each round. More of them: D is more often right, and its arrows point more surely.",
  dim: "Random numbers that G makes a point of.",
  seed: "Decides the first weights and all random numbers: the same seed repeats a training exactly.",
  weight: "0 switches it off. Larger: a smoother, slower D.",
  clip: "The largest weight that D may have. Smaller: a simpler D.",
};

/** Settings to try, what they show, and what to look for. */
export const LESSONS = [
  ["Mode collapse", { data: "ring", loss: "non-saturating", penalty: "none", weight: 0, generator_lr: 1e-3, discriminator_lr: 2e-4, generator_steps: 1, discriminator_steps: 1 },
    "D learns five times slower than G, without a penalty. The fakes gather on one side, D turns against that side, and they all move on together: they never cover the ring."],
  ["A penalty mends it", { data: "ring", loss: "non-saturating", penalty: "r1", weight: 0.02, generator_lr: 1e-3, discriminator_lr: 4e-3, generator_steps: 1, discriminator_steps: 1 },
    "D is the faster one, and R1 keeps it flat around real points. Within a few hundred rounds the fakes lie along the whole ring; much later they gather at its clusters."],
  ["Vanishing gradient", { data: "ring", loss: "minimax", penalty: "none", weight: 0, generator_lr: 1e-4, discriminator_lr: 1e-3, generator_steps: 1, discriminator_steps: 5 },
    "Five steps of D for one of G, and the first loss of all GANs. D soon knows every fake for certain, so its colours are flat there, the arrows vanish, and G stands still. Then choose the non-saturating loss, and see them return."],
];

export const LAYERS = {
  opinion: ["D's opinion", "the background: what D takes points there for"],
  manifold: ["G's grid", "where G maps a regular grid of its random numbers"],
  real: ["Real points", "samples of the data"],
  fakes: ["Fakes", "points that G has made"],
  arrows: ["Gradients", "where G's loss pulls each fake, and how hard"],
};

export const SPEEDS = {
  slow: "Slow motion",
  steady: "One round a frame",
  fast: "As fast as possible",
};

export const STAGES = {
  discriminator: "D has just learned: the background has changed.",
  generator: "G has just learned: the fakes have moved along their arrows.",
  "": "",
};

export const FIGURES = { modes: "clusters found", quality: "fakes near the data", coverage: "of the spiral covered" };

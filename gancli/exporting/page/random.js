// Seeds to latents as gancli draws them: PyTorch's CPU generator, and what its kernels make of it.

const f32 = Math.fround;

/** The Mersenne Twister (Matsumoto and Nishimura 1998, "Mersenne Twister: a 623-dimensionally equidistributed uniform
 * pseudo-random number generator", section 2.1), as torch.Generator("cpu") has it. */
export class Generator {
  constructor(seed) {
    this.state = new Uint32Array(624);
    this.state[0] = seed >>> 0;
    for (let i = 1; i < 624; i++) {
      const before = this.state[i - 1] ^ (this.state[i - 1] >>> 30);
      this.state[i] = Math.imul(1812433253, before) + i;
    }
    this.position = 624;
  }

  /** A whole number from 0 to 2^32 - 1. */
  bits32() {
    if (this.position === 624) this.#refill();
    let x = this.state[this.position++];
    x ^= x >>> 11;
    x ^= (x << 7) & 0x9d2c5680;
    x ^= (x << 15) & 0xefc60000;
    return (x ^ (x >>> 18)) >>> 0;
  }

  #refill() {
    const s = this.state;
    for (let i = 0; i < 624; i++) {
      const x = (s[i] & 0x80000000) | (s[(i + 1) % 624] & 0x7fffffff);
      s[i] = s[(i + 397) % 624] ^ (x >>> 1) ^ (x & 1 ? 0x9908b0df : 0);
    }
    this.position = 0;
  }

  /** A float32 in [0, 1), by 24 bits. */
  single() {
    return (this.bits32() & 0xffffff) / 2 ** 24;
  }

  /** A double in [0, 1), by 53 bits. */
  double() {
    const high = this.bits32() & 0x1fffff;
    return (high * 2 ** 32 + this.bits32()) / 2 ** 53;
  }
}

/** So many values of N(0, 1), as Tensor.normal_ draws them in float32. */
export function normal(generator, count) {
  return count < 16 ? fewNormal(generator, count) : manyNormal(generator, count);
}

/** Under 16 values PyTorch computes in double precision, by pairs (Box and Muller 1958, equation 1). */
function fewNormal(generator, count) {
  const values = new Float32Array(count);
  for (let i = 0; i < count; i += 2) {
    const angle = 2 * Math.PI * generator.double();
    const radius = Math.sqrt(-2 * Math.log1p(-generator.double()));
    values[i] = radius * Math.cos(angle);
    if (i + 1 < count) values[i + 1] = radius * Math.sin(angle);
  }
  return values;
}

/** From 16 values on it computes in single precision, by sixteens; where they do not divide the count, the last sixteen
 * are drawn anew. */
function manyNormal(generator, count) {
  const values = new Float32Array(count);
  for (let i = 0; i < count; i++) values[i] = generator.single();
  for (let i = 0; i + 16 <= count; i += 16) boxMuller(values.subarray(i, i + 16));
  if (count % 16) {
    const last = values.subarray(count - 16);
    for (let i = 0; i < 16; i++) last[i] = generator.single();
    boxMuller(last);
  }
  return values;
}

/** Eight pairs of uniform values to normal ones, in place. */
function boxMuller(values) {
  const turn = f32(2 * Math.PI);
  for (let i = 0; i < 8; i++) {
    const radius = f32(Math.sqrt(f32(-2 * f32(Math.log(f32(1 - values[i]))))));
    const angle = f32(turn * values[i + 8]);
    values[i] = radius * f32(Math.cos(angle));
    values[i + 8] = radius * f32(Math.sin(angle));
  }
}

/** So many values of U(-1, 1), as Tensor.uniform_ draws them. */
export function uniform(generator, count) {
  return Float32Array.from({ length: count }, () => 2 * generator.single() - 1);
}

/** The latents of a seed: z, the number of its class y, and codes c, of a model that takes
 * {dim, distribution, classes, shares, codes}. */
export function latents(seed, spec) {
  const generator = new Generator(seed);
  const z = spec.distribution === "uniform" ? uniform(generator, spec.dim) : normal(generator, spec.dim);
  let y = null;
  if (spec.classes) y = spec.shares.length ? byShares(generator.double(), spec.shares) : generator.bits32() % spec.classes;
  return { z, y, c: uniform(generator, spec.codes) };
}

/** The class in whose part of [0, 1) a value lies. */
function byShares(value, shares) {
  let end = 0;
  for (let i = 0; i < shares.length - 1; i++) {
    end += shares[i];
    if (value < end) return i;
  }
  return shares.length - 1;
}

/** z as if it had been drawn until no value lay beyond the limit (Brock et al. 2019, "Large scale GAN training for high
 * fidelity natural image synthesis", section 3.1), by place in the distribution as gancli has it. */
export function cutOff(z, limit, distribution) {
  if (distribution === "uniform") return z.map((value) => value * Math.min(limit, 1));
  const edge = erf(limit / Math.SQRT2);
  return z.map((value) => Math.max(-limit, Math.min(limit, Math.SQRT2 * erfinv(erf(value / Math.SQRT2) * edge))));
}

/** The error function, by its series up to 3 and by a continued fraction from there (Abramowitz and Stegun 1964,
 * equations 7.1.6 and 7.1.14). */
function erf(x) {
  const far = Math.abs(x);
  if (far < 3) {
    let term = far;
    let sum = far;
    for (let n = 1; term > 1e-17 * sum; n++) sum += term *= (2 * far * far) / (2 * n + 1);
    return Math.sign(x) * ((2 / Math.sqrt(Math.PI)) * Math.exp(-far * far) * sum);
  }
  let fraction = far;
  for (let n = 40; n > 0; n--) fraction = far + n / 2 / fraction;
  return Math.sign(x) * (1 - Math.exp(-far * far) / (Math.sqrt(Math.PI) * fraction));
}

/** Its inverse, by Winitzki's approximation (2008, "A handy approximation for the error function and its inverse",
 * equation 7) and Newton's method. */
function erfinv(y) {
  const a = 0.147;
  const log = Math.log1p(-y * y);
  const half = 2 / (Math.PI * a) + log / 2;
  let x = Math.sign(y) * Math.sqrt(Math.sqrt(half * half - log / a) - half);
  for (let i = 0; i < 3; i++) x -= ((erf(x) - y) * Math.sqrt(Math.PI)) / 2 * Math.exp(x * x);
  return x;
}

/** Between two latents at t from 0 to 1: normal z on the great circle (Shoemake 1985, "Animating rotation with
 * quaternion curves", section 3.3), everything else straight. */
export function between(a, b, t, distribution) {
  const straight = a.map((value, i) => (1 - t) * value + t * b[i]);
  if (distribution !== "normal") return straight;
  const dot = (p, q) => p.reduce((sum, value, i) => sum + value * q[i], 0);
  const angle = Math.acos(Math.max(-1, Math.min(1, dot(a, b) / Math.sqrt(dot(a, a) * dot(b, b)))));
  if (!(Math.sin(angle) >= 1e-6)) return straight;
  const from = Math.sin((1 - t) * angle) / Math.sin(angle);
  const to = Math.sin(t * angle) / Math.sin(angle);
  return a.map((value, i) => from * value + to * b[i]);
}

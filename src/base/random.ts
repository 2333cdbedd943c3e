// random.ts: seeded, counter-based random numbers (Threefry-2x32, 20 rounds). The same key and counter give the same
// bits here and in shaders/common/random.wgsl. It holds no hidden state, so a checkpoint needs only the counters.
// Source: Salmon, Moraes, Dror, Shaw 2011, "Parallel random numbers: as easy as 1, 2, 3"; vectors in test/unit/random.test.ts.

const ROTATIONS = [13, 15, 26, 6, 17, 29, 16, 24] as const;
const PARITY = 0x1bd11bda;

function rotateLeft(x: number, bits: number): number {
  return ((x << bits) | (x >>> (32 - bits))) >>> 0;
}

/** Threefry-2x32-20: two 32-bit words from a two-word key and a two-word counter. */
export function threefry2x32(key0: number, key1: number, counter0: number, counter1: number): [number, number] {
  const k = [key0 >>> 0, key1 >>> 0, (key0 ^ key1 ^ PARITY) >>> 0];
  let x0 = (counter0 + k[0]!) >>> 0;
  let x1 = (counter1 + k[1]!) >>> 0;
  for (let round = 0; round < 20; round++) {
    x0 = (x0 + x1) >>> 0;
    x1 = (rotateLeft(x1, ROTATIONS[round % 8]!) ^ x0) >>> 0;
    if (round % 4 === 3) {
      const s = (round + 1) / 4;
      x0 = (x0 + k[s % 3]!) >>> 0;
      x1 = (x1 + k[(s + 1) % 3]! + s) >>> 0;
    }
  }
  return [x0, x1];
}

/** 24 high bits of a word as a float in [0, 1): exactly representable in f32, so GPU and CPU agree bit for bit. */
export function unitFloat(word: number): number {
  return (word >>> 8) * 2 ** -24;
}

/** FNV-1a of a name, to give each purpose ("shuffle", "sample-y") its own stream under one seed. */
export function streamId(name: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < name.length; i++) {
    hash = Math.imul(hash ^ name.charCodeAt(i), 0x01000193) >>> 0;
  }
  return hash;
}

/** A stream of random numbers under (seed, purpose). `position` is its whole state: save and restore it at will. */
export class RandomStream {
  private readonly stream: number;
  constructor(
    readonly seed: number,
    readonly purpose: string,
    public position = 0,
  ) {
    this.stream = streamId(purpose);
  }

  /** The next 32 random bits. */
  nextWord(): number {
    const p = this.position++;
    return threefry2x32(this.seed, this.stream, p >>> 0, Math.floor(p / 2 ** 32))[0];
  }

  /** Uniform in [0, 1), 24 bits. */
  nextUnit(): number {
    return unitFloat(this.nextWord());
  }

  /** Uniform integer in [0, bound), without modulo bias. */
  nextBelow(bound: number): number {
    if (!(Number.isInteger(bound) && bound > 0 && bound <= 2 ** 32)) {
      throw new RangeError(`RandomStream.nextBelow: bound must be an integer in [1, 2^32], got ${bound}`);
    }
    const limit = 2 ** 32 - (2 ** 32 % bound);
    for (;;) {
      const word = this.nextWord();
      if (word < limit) return word % bound;
    }
  }

  /** Standard normal by Box–Muller (two words each). */
  nextNormal(): number {
    const u = 1 - this.nextUnit(); // (0, 1]: the logarithm stays finite
    const v = this.nextUnit();
    return Math.sqrt(-2 * Math.log(u)) * Math.cos(2 * Math.PI * v);
  }

  /** A new array in random order (Fisher–Yates). */
  shuffled<T>(items: readonly T[]): T[] {
    const out = items.slice();
    for (let i = out.length - 1; i > 0; i--) {
      const j = this.nextBelow(i + 1);
      [out[i], out[j]] = [out[j]!, out[i]!];
    }
    return out;
  }
}

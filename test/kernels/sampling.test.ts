// sampling.test.ts: drawing tokens on this device: exact tokens against float64, then what only many draws can show:
// the distribution, the supports of top-k and top-p, and that a sequence does not notice its company.
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { RandomStream } from '../../src/base/random';
import { Recorder } from '../../src/gpu/commands';
import { Rows } from '../../src/gpu/rows';
import { FINISHED, sampleTokens } from '../../src/kernels/sampling';
import { tokenWeights, type SamplingRule } from '../../src/reference/sampling';
import { samplingCases } from '../../src/selfcheck/cases/sampling';
import { testGpu } from './device';
import { testFamily } from './family';

testFamily(samplingCases);

interface Run {
  rule: SamplingRule;
  /** One row of logits a sequence. */
  logits: Float32Array[];
  sequences: number[];
  steps?: number;
  eosIds?: number[];
  seed?: number;
}

/** Generates `steps` tokens a row from logits that stay the same; returns what each row put out, and its end state. */
async function generate(run: Run): Promise<{ outputs: number[][]; finished: number[]; lengths: number[] }> {
  const gpu = await testGpu();
  const arena = gpu.arena('test');
  const B = run.sequences.length;
  const V = run.logits[0]!.length;
  const steps = run.steps ?? 1;
  const flat = new Float32Array(B * V);
  run.logits.forEach((row, b) => flat.set(row, b * V));
  const u32 = (name: string, n = B) => arena.tensor(name, [n], 'u32');
  const rows = new Rows(gpu, arena, 'rows', B);
  rows.set(B);
  const output = u32('output', B * steps);
  const outputCount = u32('outputCount');
  const finished = u32('finished');
  const lengths = arena.upload('lengths', [B], 'u32', new Uint32Array(B).fill(5));
  const commands = sampleTokens(
    gpu,
    {
      logits: arena.upload('logits', [B, V], 'f32', flat),
      sequences: arena.upload('sequences', [B], 'u32', Uint32Array.from(run.sequences)),
      state: arena.upload('state', [4], 'u32', Uint32Array.of(run.seed ?? 1, 2, 0, 0)),
      lengths,
      finished,
      output,
      outputCount,
      nextIds: u32('nextIds'),
      nextPositions: u32('nextPositions'),
      nextSlots: u32('nextSlots'),
      cacheStarts: u32('cacheStarts'),
    },
    { rows, vocab: V, maxNewTokens: steps, cacheCapacity: 100 + steps, eosIds: run.eosIds ?? [], ...run.rule },
  );
  await gpu.settled();
  const recorder = new Recorder(gpu, 'test');
  for (let step = 0; step < steps + 3; step++) recorder.add(...commands); // three more than there is room for
  recorder.submit();
  const flatOutput = await gpu.readU32(output);
  const counts = await gpu.readU32(outputCount);
  const result = {
    outputs: run.sequences.map((_, b) => Array.from(flatOutput.subarray(b * steps, b * steps + counts[b]!))),
    finished: Array.from(await gpu.readU32(finished)),
    lengths: Array.from(await gpu.readU32(lengths)),
  };
  arena.destroy();
  return result;
}

const normalRow = (V: number, seed: number): Float32Array => {
  const random = new RandomStream(seed, 'sampling test');
  return Float32Array.from({ length: V }, () => 1.5 * random.nextNormal());
};

const DISTRIBUTIONS: [string, SamplingRule][] = [
  ['temperature 0.7', { temperature: 0.7, topK: 0, topP: 1 }],
  ['temperature 1.5, top-k 6', { temperature: 1.5, topK: 6, topP: 1 }],
  ['temperature 1, top-p 0.8', { temperature: 1, topK: 0, topP: 0.8 }],
  ['temperature 1, top-k 8, top-p 0.9', { temperature: 1, topK: 8, topP: 0.9 }],
];
for (const [name, rule] of DISTRIBUTIONS) {
  it(`4096 draws at ${name} follow the distribution (χ², p > 0.001) and never leave the support`, async () => {
    const logits = normalRow(11, 3);
    const B = 64;
    const { outputs } = await generate({
      rule,
      logits: new Array<Float32Array>(B).fill(logits),
      sequences: Array.from({ length: B }, (_, b) => b),
      steps: 64,
    });
    const counts = new Array<number>(11).fill(0);
    for (const token of outputs.flat()) counts[token]!++;
    const draws = outputs.flat().length;
    expect(draws).toBe(4096);
    const weights = tokenWeights(logits, rule);
    const total = weights.reduce((a, b) => a + b, 0);
    // Cells that expect fewer than 5 draws are pooled.
    let statistic = 0;
    let cells = 0;
    let pooled = { seen: 0, expected: 0 };
    for (let i = 0; i < 11; i++) {
      const expected = (draws * weights[i]!) / total;
      if (expected === 0) expect(counts[i]).toBe(0);
      else if (expected < 5) pooled = { seen: pooled.seen + counts[i]!, expected: pooled.expected + expected };
      else {
        statistic += (counts[i]! - expected) ** 2 / expected;
        cells++;
      }
    }
    if (pooled.expected > 0) {
      statistic += (pooled.seen - pooled.expected) ** 2 / pooled.expected;
      cells++;
    }
    const freedom = cells - 1;
    expect(freedom).toBeGreaterThanOrEqual(3);
    // Wilson–Hilferty: the 0.999 quantile of χ² with so many degrees of freedom.
    const quantile = freedom * (1 - 2 / (9 * freedom) + 3.09 * Math.sqrt(2 / (9 * freedom))) ** 3;
    expect(statistic).toBeLessThan(quantile);
  });
}

/** The support after transformers' TopKLogitsWarper and TopPLogitsWarper (generation/logits_process.py, 4.57), in f64. */
function transformersSupport(logits: readonly number[], { temperature, topK, topP }: SamplingRule): boolean[] {
  let scores = logits.map((x) => x / temperature);
  if (topK > 0) {
    const kth = scores.toSorted((a, b) => b - a)[Math.min(topK, scores.length) - 1]!;
    scores = scores.map((x) => (x < kth ? -Infinity : x));
  }
  if (topP < 1) {
    const most = Math.max(...scores);
    const total = scores.reduce((sum, x) => sum + Math.exp(x - most), 0);
    const ascending = scores.map((_, i) => i).sort((a, b) => scores[a]! - scores[b]!);
    let cumulative = 0;
    for (const i of ascending.slice(0, -1)) {
      cumulative += Math.exp(scores[i]! - most) / total;
      if (cumulative <= 1 - topP) scores[i] = -Infinity;
    }
  }
  return scores.map((x) => x > -Infinity);
}

it('the float64 support is that of transformers for distinct logits: top-k first, the token that crosses p stays', () => {
  fc.assert(
    fc.property(
      fc.uniqueArray(fc.integer({ min: -8000, max: 8000 }), { minLength: 1, maxLength: 30 }),
      fc.record({
        temperature: fc.constantFrom(0.1, 0.7, 1, 2.5),
        topK: fc.integer({ min: 0, max: 32 }),
        topP: fc.constantFrom(1e-6, 0.13, 0.5, 0.77, 0.9, 0.999, 1),
      }),
      (thousandths, rule) => {
        const logits = thousandths.map((x) => x / 1000);
        const support = Array.from(tokenWeights(logits, rule), (weight) => weight > 0);
        expect(support).toEqual(transformersSupport(logits, rule));
      },
    ),
    { seed: 2, numRuns: 2000 },
  );
  expect(transformersSupport([1, 3, 2, 0], { temperature: 1, topK: 0, topP: 0.7 })).toEqual([false, true, true, false]);
});

it('every token of the support is drawn, and none outside, at top-k 5 of 40 near-equal logits', async () => {
  const logits = Float32Array.from({ length: 40 }, (_, i) => ((i * 7) % 40) * 1e-3);
  const rule = { temperature: 1, topK: 5, topP: 1 };
  const sequences = Array.from({ length: 32 }, (_, b) => b);
  const { outputs } = await generate({ rule, logits: sequences.map(() => logits), sequences, steps: 8 });
  const support = Array.from(tokenWeights(logits, rule).entries())
    .filter(([, w]) => w > 0)
    .map(([i]) => i);
  expect(support.length).toBe(5);
  expect([...new Set(outputs.flat())].sort((a, b) => a - b)).toEqual(support);
});

it('a sequence draws the same tokens alone, in another row and in other company; another seed draws others', async () => {
  const rule = { temperature: 1, topK: 0, topP: 0.95 };
  const sequences = [40, 7, 12, 3, 99];
  const logits = sequences.map((s) => normalRow(300, s));
  const together = await generate({ rule, logits, sequences, steps: 12 });
  const turned = await generate({ rule, logits: logits.toReversed(), sequences: sequences.toReversed(), steps: 12 });
  expect(turned.outputs.toReversed()).toEqual(together.outputs);
  for (const [b, sequence] of sequences.entries()) {
    const alone = await generate({ rule, logits: [logits[b]!], sequences: [sequence], steps: 12 });
    expect(alone.outputs[0]).toEqual(together.outputs[b]);
  }
  const other = await generate({ rule, logits, sequences, steps: 12, seed: 2 });
  expect(other.outputs).not.toEqual(together.outputs);
  expect(together.outputs[0]).not.toEqual(together.outputs[1]);
});

it('a finished row emits nothing more and keeps its count; an end token is emitted', async () => {
  const flat = new Float32Array(50).fill(0);
  flat[30] = 9;
  const peaked = flat.slice();
  peaked[31] = 12;
  const rule = { temperature: 0, topK: 0, topP: 1 };
  const { outputs, finished, lengths } = await generate({
    rule,
    logits: [flat, peaked],
    sequences: [0, 1],
    steps: 5,
    eosIds: [49, 31],
  });
  expect(outputs).toEqual([[30, 30, 30, 30, 30], [31]]);
  expect(finished).toEqual([FINISHED.length, FINISHED.endToken]);
  expect(lengths).toEqual([10, 6]);
});

it('greedy on a vocabulary of 128,257 finds the first of two equal largest logits, wherever they are', async () => {
  const V = 128_257;
  const rows = [
    [0, V - 1],
    [65_536, 65_537],
    [V - 1, V - 1],
  ].map(([a, b]) => {
    const logits = new Float32Array(V).fill(-5);
    logits[a!] = logits[b!] = 4.5;
    return logits;
  });
  const { outputs } = await generate({
    rule: { temperature: 0, topK: 0, topP: 1 },
    logits: rows,
    sequences: [0, 1, 2],
  });
  expect(outputs).toEqual([[0], [65_536], [V - 1]]);
});

it('draws from 32,003 tokens with top-k and top-p stay inside the float64 support', async () => {
  const rule = { temperature: 0.9, topK: 50, topP: 0.9 };
  const sequences = [1, 2, 3, 4];
  const logits = sequences.map((s) => normalRow(32_003, s));
  const { outputs } = await generate({ rule, logits, sequences, steps: 3 });
  for (const [b, tokens] of outputs.entries()) {
    const weights = tokenWeights(logits[b]!, rule);
    expect(tokens.length).toBe(3);
    for (const token of tokens) expect(weights[token]).toBeGreaterThan(0);
  }
});

it('settings out of range are refused by name', async () => {
  await expect(
    generate({ rule: { temperature: -1, topK: 0, topP: 1 }, logits: [normalRow(4, 1)], sequences: [0] }),
  ).rejects.toThrow(/temperature must be 0 or more, got -1/);
  await expect(
    generate({ rule: { temperature: 1, topK: 0, topP: 0 }, logits: [normalRow(4, 1)], sequences: [0] }),
  ).rejects.toThrow(/topP must be in \(0, 1\]/);
});

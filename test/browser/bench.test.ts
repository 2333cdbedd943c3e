// bench.test.ts: the benchmark's code at tiny sizes, in Chromium: every section runs, Pupil and its peer compute the same
// numbers, and the report can be printed. It judges no speed.
import { describe, expect, it } from 'vitest';
import { runBench } from '../../bench/bench';
import { median, ratioOf } from '../../bench/measure';
import { formatReport } from '../../bench/results';
import { STORY_LLAMA } from '../../bench/studentSource';

const TINY = {
  ...STORY_LLAMA,
  hidden_size: 16,
  intermediate_size: 24,
  num_hidden_layers: 1,
  num_attention_heads: 4,
  num_key_value_heads: 2,
  vocab_size: 40,
  max_position_embeddings: 32,
};

describe('the benchmark', () => {
  it('finds the same products as jax-js at (M,K,N)=(24,20,36)', async () => {
    const report = await runBench({ sections: ['matmul'], rounds: 2, matmulShapes: [[24, 20, 36]] });
    expect(report.matmul?.map((r) => r.form)).toEqual(['A·B', 'A·Bᵀ', 'Aᵀ·B']);
    for (const result of report.matmul!) {
      expect(result.difference).toBeLessThan(1e-4);
      expect(result.ratio).toBeGreaterThan(0);
    }
  });

  it('finds the same products with an NF4 weight as with it dequantised at (N,C,O)=(12,64,20)', async () => {
    const report = await runBench({ sections: ['nf4'], rounds: 2, nf4Shapes: [[12, 64, 20]] });
    expect(report.nf4?.map((r) => r.operation)).toEqual(['forward', 'backward']);
    for (const result of report.nf4!) expect(result.difference).toBeLessThan(1e-4);
  });

  it('trains as jax-js does: four losses agree, and fall', async () => {
    const report = await runBench({
      sections: ['training'],
      rounds: 1,
      config: TINY,
      sequences: 2,
      tokensPerSequence: 8,
    });
    const { training } = report;
    expect(training?.steps).toHaveLength(3);
    expect(training!.lossDifference).toBeLessThan(1e-4);
    expect(training!.lossDifferenceLater).toBeLessThan(1e-3);
    for (const step of training!.steps) {
      expect(step.losses).toHaveLength(4);
      expect(step.losses.at(-1)).toBeLessThan(step.losses[0]!);
      expect(step.dispatches).toBeGreaterThan(10);
      expect(step.peakBytes).toBeGreaterThan(0);
    }
    expect(formatReport(report)).toContain('jax-js, all weights');
  });

  it('decodes full answers', async () => {
    const report = await runBench({
      sections: ['decoding'],
      rounds: 1,
      config: TINY,
      batches: [1, 3],
      promptTokens: 4,
      newTokens: 9,
    });
    expect(report.decoding?.map((r) => r.batch)).toEqual([1, 3, 1, 3]);
    for (const result of report.decoding!) expect(result.tokensPerSecond).toBeGreaterThan(0);
    expect(formatReport(report)).toContain('Decoding, prompts of 4 tokens, 9 new');
  });

  it('loads students of every dtype', async () => {
    const report = await runBench({ sections: ['load'], rounds: 1, loadConfig: TINY });
    expect(report.load?.map((r) => `${r.dtype} ${r.quantize}`)).toEqual([
      'f16 nf4-double',
      'bf16 nf4-double',
      'f32 nf4-double',
      'f16 nf4',
      'f16 none',
    ]);
    for (const result of report.load!) {
      expect(result.megabytesPerSecond).toBeGreaterThan(0);
      // Four buffers of a chunk; the last of the student itself may come when they have been given back.
      expect(result.stagingBytes).toBeGreaterThan(3 * 16_384);
      expect(result.sizeBytes).toBeGreaterThan(result.parameters * (result.dtype === 'f32' ? 4 : 2));
    }
    expect(report.cachedLoad?.loads.map((r) => r.quantize)).toEqual(['nf4-double', 'none']);
    for (const { ratio, cachedBytes } of report.cachedLoad!.loads) {
      expect(ratio).toBeGreaterThan(0);
      expect(cachedBytes).toBeGreaterThan(0);
    }
    expect(formatReport(report)).toContain('First load and second');
    expect(formatReport(report)).toContain(`Loading a student of ${report.load![0]!.parameters} parameters`);
  });
});

describe('ratioOf', () => {
  it('is the median over rounds of peer / ours', () => {
    const timing = (name: string, samplesMs: number[]) => ({ name, medianMs: 0, fastestMs: 0, samplesMs });
    expect(ratioOf(timing('peer', [20, 90, 40]), timing('ours', [10, 30, 40]))).toBe(2);
    expect(median([4, 1, 3, 2])).toBe(2.5);
  });
});

// familyGeneration.test.ts: a window far shorter than the text under a large vocabulary: greedy answers of prompts of many
// lengths, side by side in a batch smaller than their number, are those of each prompt alone and of the whole forward pass,
// which has no cache. On random students; the numbers of PyTorch are families.test.ts.
import { beforeAll, describe, expect, it } from 'vitest';
import { RandomStream } from '../../src/base/random';
import { memorySource } from '../../src/formats/byteSource';
import { openCheckpoint } from '../../src/formats/checkpointIndex';
import { parseModelConfig } from '../../src/formats/modelConfig';
import { inLibraryOrder, writeSafetensors } from '../../src/formats/safetensorsWrite';
import type { Gpu } from '../../src/gpu/device';
import { packSequences } from '../../src/model/batch';
import { Generator } from '../../src/model/generator';
import { parameterShapes } from '../../src/model/parameterShapes';
import { Student } from '../../src/model/student';
import { Trainer } from '../../src/model/trainer';
import { testGpu } from '../kernels/device';

let gpu: Gpu;
beforeAll(async () => {
  gpu = await testGpu();
});

const V = 50_001;
const COMMON = {
  hidden_size: 30,
  intermediate_size: 44,
  num_hidden_layers: 3,
  num_attention_heads: 4,
  num_key_value_heads: 2,
  head_dim: 10,
  vocab_size: V,
  max_position_embeddings: 128,
  rms_norm_eps: 1e-5,
  tie_word_embeddings: true,
};
const STUDENTS: [string, Record<string, unknown>][] = [
  ['mistral: a window of 5 in every layer', { model_type: 'mistral', sliding_window: 5 }],
  [
    'qwen2: a window of 4 from the second layer',
    { model_type: 'qwen2', use_sliding_window: true, sliding_window: 4, max_window_layers: 1 },
  ],
  [
    'gemma2: a window of 3 in every other layer, caps',
    { model_type: 'gemma2', sliding_window: 3, final_logit_softcapping: 8, tie_word_embeddings: false },
  ],
];
const NEW_TOKENS = 24;

async function studentOf(keys: Record<string, unknown>): Promise<Student> {
  const json = { ...COMMON, ...keys };
  const { matrices, vectors } = parameterShapes(parseModelConfig(json));
  const tensors = [...matrices, ...vectors].map(({ name, shape }) => {
    const random = new RandomStream(17, name);
    const count = shape.reduce((product, size) => product * size, 1);
    const spread = shape.length === 1 ? 0.2 : 1.2 / Math.sqrt(shape[1]!);
    return {
      name,
      dtype: 'f32' as const,
      shape,
      data: Float32Array.from({ length: count }, () => spread * random.nextNormal()),
    };
  });
  for (const { name, data } of tensors) {
    if (name.endsWith('norm.weight') && keys['model_type'] !== 'gemma2')
      data.forEach((value, i) => (data[i] = 1 + value));
  }
  const files: Record<string, Uint8Array> = {
    'config.json': new TextEncoder().encode(JSON.stringify(json)),
    'model.safetensors': writeSafetensors(inLibraryOrder(tensors), { format: 'pt' }),
  };
  const checkpoint = await openCheckpoint((path) => Promise.resolve(files[path] && memorySource(path, files[path])));
  return Student.load(gpu, checkpoint, { quantize: 'none' });
}

describe('generation far beyond a window, 50,001 tokens in the vocabulary', () => {
  it.each(STUDENTS)('%s', async (_, keys) => {
    const student = await studentOf(keys);
    const random = new RandomStream(2, 'prompts');
    const prompts = [1, 2, 4, 5, 17, 30].map((length) => Array.from({ length }, () => random.nextBelow(V)));
    const answer = async (some: number[][], batchSize: number): Promise<number[][]> => {
      const generator = new Generator(student, undefined, {
        batchSize,
        maxPromptTokens: 30,
        maxNewTokens: NEW_TOKENS,
        temperature: 0,
        eosIds: [],
      });
      await generator.ready();
      const answers = await generator.generate(some, { seed: 1, stream: 'beyond' });
      generator.destroy();
      return answers.map(({ ids }) => [...ids]);
    };
    const together = await answer(prompts, 4);
    const alone: number[][] = [];
    for (const prompt of prompts) alone.push(...(await answer([prompt], 1)));
    expect(together).toEqual(alone);

    const trainer = new Trainer(student, undefined, {
      limits: { tokens: 64, targets: 64, sequences: 1 },
      scoringOnly: true,
    });
    await trainer.ready();
    let differing = 0;
    for (const [i, prompt] of prompts.entries()) {
      const ids = [...prompt, ...together[i]!];
      const logits = await trainer.logits(packSequences([{ ids }]));
      expect(together[i]).toHaveLength(NEW_TOKENS);
      for (const [t, id] of together[i]!.entries()) {
        const row = logits.subarray((prompt.length + t - 1) * V, (prompt.length + t) * V);
        const best = row.reduce((most, value) => Math.max(most, value), -Infinity);
        expect(best - row[id]!, `prompt ${i}, token ${t}`).toBeLessThan(1e-4);
        if (t > 0 && id !== together[i]![t - 1]) differing++;
      }
    }
    expect(differing).toBeGreaterThan(20); // the answers are not one token over and over
    trainer.destroy();
    student.destroy();
  });
});

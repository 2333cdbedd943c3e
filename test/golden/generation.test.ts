// generation.test.ts: batched decoding on a small random student whose head size takes the tiled and the matrix kernels
// (invariants.test.ts has one that takes neither): answers do not depend on their company, finished rows cost nothing for
// long, prompts are packed without padding, and work can be left at any answer.
import { afterAll, beforeAll, expect, it, vi } from 'vitest';
import { RandomStream } from '../../src/base/random';
import { parseModelConfig } from '../../src/formats/modelConfig';
import { Recorder } from '../../src/gpu/commands';
import type { Gpu } from '../../src/gpu/device';
import { Rows } from '../../src/gpu/rows';
import { Generator, type Generation, type GeneratorOptions } from '../../src/model/generator';
import { Student } from '../../src/model/student';
import { testGpu } from '../kernels/device';

let gpu: Gpu;
let student: Student;
const owned: { destroy(): void }[] = [];
beforeAll(async () => {
  gpu = await testGpu();
  student = Student.initialize(
    gpu,
    parseModelConfig({
      architectures: ['LlamaForCausalLM'],
      model_type: 'llama',
      hidden_size: 64,
      intermediate_size: 40,
      num_hidden_layers: 2,
      num_attention_heads: 4,
      num_key_value_heads: 2,
      vocab_size: 90,
      max_position_embeddings: 160,
      rms_norm_eps: 1e-5,
      rope_theta: 10000,
      hidden_act: 'silu',
      tie_word_embeddings: true,
      bos_token_id: 1,
      eos_token_id: 2,
    }),
    4,
  );
  owned.push(student);
});
afterAll(() => owned.forEach((thing) => thing.destroy()));

async function generator(options: Partial<GeneratorOptions>): Promise<Generator> {
  const made = new Generator(student, undefined, {
    batchSize: 4,
    maxPromptTokens: 120,
    maxNewTokens: 14,
    temperature: 1.2,
    eosIds: [2, 17, 30, 41],
    ...options,
  });
  owned.push(made);
  await made.ready();
  return made;
}

/** Prompts of 1 to 120 tokens: several tiles of keys, and neighbours of every alignment. */
const PROMPTS = Array.from({ length: 10 }, (_, p) => {
  const random = new RandomStream(3, `prompt ${p}`);
  return Array.from({ length: 1 + ((p * 43) % 120) }, () => random.nextBelow(90));
});
const RUN = { seed: 5, stream: 'y' };

it('10 sampled answers of up to 14 tokens are the same in batches of 1, 3 and 10, and with other neighbours', async () => {
  const alone = await (await generator({ batchSize: 1 })).generate(PROMPTS, RUN);
  const lengths = alone.map(({ ids }) => ids.length);
  expect(Math.min(...lengths)).toBeLessThan(6);
  expect(new Set(alone.map(({ stopped }) => stopped))).toEqual(new Set(['eos', 'length']));
  const three = await generator({ batchSize: 3 });
  expect(await three.generate(PROMPTS, RUN)).toEqual(alone);
  const ten = await generator({ batchSize: 10 });
  expect(await ten.generate(PROMPTS, RUN)).toEqual(alone);
  expect(await ten.generate(PROMPTS.slice(4), { ...RUN, firstSequence: 4 })).toEqual(alone.slice(4));
});

it('a batch whose answers end at once is done after one look, whatever maxNewTokens', async () => {
  const g = await generator({ batchSize: 8, maxNewTokens: 40, eosIds: [], temperature: 0 });
  const prompts = PROMPTS.slice(0, 6);
  const [long] = await g.generate([prompts[0]!], RUN);
  expect(long!.ids.length).toBe(40);
  const all = await g.generate(prompts, RUN);
  const ends = [...new Set(all.map(({ ids }) => ids[0]!))].slice(0, 8);
  const short = await generator({ batchSize: 8, maxNewTokens: 40, eosIds: ends, temperature: 0 });
  const submit = vi.spyOn(Recorder.prototype, 'submit');
  const answers = await short.generate(prompts, RUN);
  expect(answers.every(({ ids, stopped }) => ids.length === 0 && stopped === 'eos')).toBe(true);
  expect(submit.mock.calls.length).toBe(3); // prefill, first tokens, and the steps behind which the ends are seen
  submit.mockRestore();
});

it('prompts are prefilled packed, without padding, at most 2048 tokens a submission; ended rows leave the batch', async () => {
  const g = await generator({ batchSize: 30 });
  const prompts = Array.from({ length: 30 }, (_, p) => PROMPTS[9 - (p % 3)]!.concat(PROMPTS[p % 10]!).slice(0, 120));
  const tokens = prompts.reduce((sum, prompt) => sum + prompt.length, 0);
  expect(tokens).toBeGreaterThan(2048);
  const set = vi.spyOn(Rows.prototype, 'set');
  await g.generate(prompts, RUN);
  const counts = (label: string): number[] =>
    set.mock.calls.flatMap(([count], i) => ((set.mock.contexts[i] as Rows).label === label ? [count] : []));
  const prefilled = counts('prompt tokens');
  expect(prefilled.reduce((a, b) => a + b, 0)).toBe(tokens);
  expect(prefilled.length).toBe(2);
  expect(Math.max(...prefilled)).toBeLessThanOrEqual(2048);
  const rows = counts('sequences');
  expect(rows[0]).toBe(30);
  expect(rows.at(-1)).toBeLessThan(20);
  set.mockRestore();
});

it('answers are told in order while others are under way, and a stop loses none that was told', async () => {
  const g = await generator({});
  const whole = await g.generate(PROMPTS, RUN);
  const told: Generation[][] = [];
  const stop = g.generate(PROMPTS, {
    ...RUN,
    onAnswers: (answers) => {
      told.push([...answers]);
      return answers.length >= 6 ? Promise.reject(new Error('enough')) : Promise.resolve();
    },
  });
  await expect(stop).rejects.toThrow('enough');
  expect(told.length).toBeGreaterThan(1);
  for (const answers of told) expect(answers).toEqual(whole.slice(0, answers.length));
  const kept = told.at(-1)!;
  const rest = await g.generate(PROMPTS.slice(kept.length), { ...RUN, firstSequence: kept.length });
  expect([...kept, ...rest]).toEqual(whole);
});

it('logits that are not finite are an error that names the prompt, not an answer', async () => {
  const g = await generator({});
  const before = await gpu.readF32(student.finalNorm);
  gpu.write(student.finalNorm, new Float32Array(64).fill(NaN));
  await expect(g.generate(PROMPTS.slice(0, 2), RUN)).rejects.toThrow(
    /the logits must be finite, those of prompt 0 are not after 0 tokens/,
  );
  gpu.write(student.finalNorm, before);
});

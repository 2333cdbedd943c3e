// checkpoints.test.ts: pretrained checkpoints against numbers made by others: a story-teller (independent float64 forward)
// and the lesson's prototype (greedy continuations of a PyTorch run).
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Gpu } from '../../src/gpu/device';
import { packSequences } from '../../src/model/batch';
import { Generator } from '../../src/model/generator';
import { Student } from '../../src/model/student';
import { parameterCount } from '../../src/model/parameterShapes';
import { Trainer } from '../../src/model/trainer';
import { testGpu } from '../kernels/device';
import { checkpointAt, jsonAt, LESSON } from './files';

let gpu: Gpu;
beforeAll(async () => {
  gpu = await testGpu();
});
const owned: { destroy(): void }[] = [];
afterAll(() => owned.forEach((thing) => thing.destroy()));
function own<T extends { destroy(): void }>(thing: T): T {
  owned.push(thing);
  return thing;
}

describe.skipIf(!process.env.PUPIL_DATA)('story_llama (needs PUPIL_DATA)', () => {
  const folder = join(process.env.PUPIL_DATA ?? '', 'weights/story_llama');
  interface Golden {
    prompt_ids: number[];
    greedy_64_new_ids: number[];
    last_logits: number[];
  }

  it('last logits match float64 within 1e-3', async () => {
    const student = own(await Student.load(gpu, await checkpointAt(folder), { quantize: 'none' }));
    const golden = await jsonAt<Golden>(join(folder, 'golden_numpy_f64.json'));
    const trainer = own(new Trainer(student, undefined, { limits: { tokens: 16, targets: 1, sequences: 1 } }));
    await trainer.ready();
    const V = student.config.vocabSize;
    const logits = await trainer.logits(packSequences([{ ids: golden.prompt_ids }]));
    const last = logits.subarray((golden.prompt_ids.length - 1) * V);
    expect(last.length).toBe(golden.last_logits.length);
    let worst = 0;
    golden.last_logits.forEach((want, v) => (worst = Math.max(worst, Math.abs(last[v]! - want))));
    expect(worst).toBeLessThan(1e-3);
  });

  it('64 greedy ids are exact', async () => {
    const student = own(await Student.load(gpu, await checkpointAt(folder), { quantize: 'none' }));
    const golden = await jsonAt<Golden>(join(folder, 'golden_numpy_f64.json'));
    const generator = own(
      new Generator(student, undefined, {
        batchSize: 1,
        maxPromptTokens: 8,
        maxNewTokens: 64,
        temperature: 0,
        eosIds: [],
      }),
    );
    await generator.ready();
    const [answer] = await generator.generate([golden.prompt_ids], { seed: 1, stream: 'golden' });
    expect(answer!.ids).toEqual(golden.greedy_64_new_ids);
  });
});

describe.each(['student-p10', 'student-p8'])('%s (a student of the lesson prototype)', (name) => {
  it('has 910,592 parameters and every greedy continuation is the prototype’s', async () => {
    const folder = join(LESSON, name);
    const student = own(await Student.load(gpu, await checkpointAt(folder), { quantize: 'none' }));
    expect(parameterCount(student.config)).toBe(910_592);
    const { examples } = await jsonAt<{ examples: { prompt: number[]; greedy: number[] }[] }>(
      join(folder, 'expected.json'),
    );
    const generator = own(
      new Generator(student, undefined, {
        batchSize: 16,
        maxPromptTokens: Math.max(...examples.map((e) => e.prompt.length)),
        maxNewTokens: Math.max(...examples.map((e) => e.greedy.length)) + 1,
        temperature: 0,
        eosIds: [2],
      }),
    );
    await generator.ready();
    const answers = await generator.generate(
      examples.map((e) => e.prompt),
      { seed: 1, stream: 'golden' },
    );
    expect(answers.map((a) => a.ids)).toEqual(examples.map((e) => e.greedy));
  });
});

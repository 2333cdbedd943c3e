// evaluateAlone.test.ts: what an evaluation answers depends on student, adapter, questions and seed, not on what the system is
// called: an adapter that changes nothing answers as the untouched student, under every folder name.
import { expect, it } from 'vitest';
import { writePeftAdapter, type AdapterFile } from '../../../src/formats/peft';
import { nodeGpu } from '../../../src/gpu/node';
import { Session } from '../../../src/session/session';
import { MemoryRunStore } from '../../../src/storage/memory';
import { tinyExperiment, tinyFiles } from './tinyRun';

const PATH = 'model.layers.0.self_attn.q_proj';
const NOTHING: AdapterFile = {
  r: 2,
  alpha: 4,
  dropout: 0,
  rsLora: false,
  targetModules: [PATH],
  baseModel: 'student',
  tensors: new Map([
    [
      PATH,
      {
        a: { shape: [2, 32], data: new Float32Array(64).fill(0.1) },
        b: { shape: [32, 2], data: new Float32Array(64) },
      },
    ],
  ]),
};

it('the same answers whatever the system is called', { timeout: 300_000 }, async () => {
  const session = new Session(await nodeGpu(), new MemoryRunStore());
  await session.open({ tier: 'f32' });
  const names = ['adapters/first', 'adapters/self-refine'];
  const adapters = names.flatMap((name) =>
    Object.entries(writePeftAdapter(NOTHING)).map(([file, bytes]) => [`${name}/${file}`, bytes] as const),
  );
  const files = { kind: 'memory' as const, files: { ...tinyFiles(), ...Object.fromEntries(adapters) } };
  // Warm enough that another stream of random numbers gives other answers.
  const evaluation = { prompts: ['cot'], maxNewTokens: 8, batchSize: 5, temperature: 1 };
  const answersOf = async (adapter: string | undefined, seed: number): Promise<{ system: string; texts: string[] }> => {
    const out: Record<string, Uint8Array> = {};
    const experiment = tinyExperiment({ evaluation, seed });
    const request = { experiment, files, out: { kind: 'memory' as const, files: out } };
    const [row] = await session.evaluate(adapter === undefined ? request : { ...request, adapter }, () => undefined);
    const lines = new TextDecoder().decode(out['predictions.jsonl']).trim().split('\n');
    return { system: row!.system, texts: lines.map((line) => (JSON.parse(line) as { text: string }).text) };
  };
  const untouched = await answersOf(undefined, 3);
  const [first, second] = [await answersOf(names[0], 3), await answersOf(names[1], 3)];
  expect([untouched.system, first.system, second.system]).toEqual(['Baseline', 'Instruction-tuned', 'Self-refined']);
  expect(first.texts).toEqual(untouched.texts);
  expect(second.texts).toEqual(untouched.texts);
  expect((await answersOf(undefined, 4)).texts).not.toEqual(untouched.texts);
});

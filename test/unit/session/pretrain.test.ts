// pretrain.test.ts: a student of width 16 pretrained for a few steps on Dawn: it learns, it is written as a checkpoint that
// loads, and stopped in the middle it ends with the same bytes.
import { describe, expect, it } from 'vitest';
import { openCheckpoint } from '../../../src/formats/checkpointIndex';
import { Student } from '../../../src/model/student';
import { PRETRAIN_DEFAULTS } from '../../../src/recipes/pretrain';
import { filesIn } from '../../../src/recipes/files';
import { PRETRAIN_CHECKPOINT, pretrainStudent, type PretrainJob } from '../../../src/session/pretrain';
import { openEarlier } from '../../../src/session/pretrainStart';
import { loadTokenizer } from '../../../src/session/tokenizers';
import { openMemoryRoot } from '../../../src/sources/memory';
import { testGpu } from '../../kernels/device';

const STEPS = 12;

async function job(files: Record<string, Uint8Array>, changes: Partial<PretrainJob> = {}): Promise<PretrainJob> {
  return {
    gpu: await testGpu(),
    out: openMemoryRoot(files),
    name: 'tiny',
    seed: 5,
    mix: 'lesson',
    shape: { hiddenSize: 16, intermediateSize: 24, layers: 1, heads: 2, contextTokens: 128 },
    settings: {
      ...PRETRAIN_DEFAULTS,
      steps: STEPS,
      tokensPerStep: 512,
      learningRate: 0.02,
      warmupSteps: 1,
      evaluateEverySteps: 6,
    },
    checkpointEverySteps: 5,
    developmentDocuments: 12,
    resume: false,
    onStep: () => undefined,
    ...changes,
  };
}

/** Files by name without what tells the time. */
const comparable = (files: Record<string, Uint8Array>): Record<string, Uint8Array> => ({
  weights: files['model.safetensors']!,
  config: files['config.json']!,
  tokenizer: files['tokenizer.json']!,
});

describe('pretrainStudent', () => {
  it('lowers both losses and writes a checkpoint, tokenizer and card that load and agree', async () => {
    const files: Record<string, Uint8Array> = {};
    const summary = await pretrainStudent(await job(files));
    const losses = summary.rows.map((row) => row['loss']!);
    expect(losses[0]!).toBeGreaterThan(6); // ln 477 = 6.17: nothing is known yet
    expect(losses.at(-1)!).toBeLessThan(losses[0]! - 0.8);
    const measured = summary.rows.filter((row) => row['eval_loss'] !== undefined);
    expect(measured.map((row) => row.step)).toEqual([6, 12]);
    expect(measured[1]!['eval_loss']!).toBeLessThan(measured[0]!['eval_loss']!);

    const root = openMemoryRoot(files);
    const open = filesIn(root, '');
    const student = await Student.load(await testGpu(), await openCheckpoint(open, 'tiny'), { quantize: 'none' });
    expect(student.config.vocabSize).toBe(summary.vocabulary);
    student.destroy();
    const { tokenizer } = await loadTokenizer({ kind: 'student' }, root, open);
    expect(tokenizer.vocabSize).toBe(summary.vocabulary);

    const card = new TextDecoder().decode(files['README.md']);
    expect(card).toContain(summary.sha256);
    expect(card).toContain(`${summary.documents} documents, ${summary.tokens.toLocaleString('en')} tokens`);
    expect(card).toContain(`| ${STEPS} | `);
  });

  it('stopped after any step and resumed, it ends with the same bytes; another seed does not', async () => {
    const undisturbed: Record<string, Uint8Array> = {};
    await pretrainStudent(await job(undisturbed));
    const files: Record<string, Uint8Array> = {};
    for (const [i, stopAt] of [3, 8].entries()) {
      const abort = new AbortController();
      const stopped = pretrainStudent(
        await job(files, {
          resume: i > 0,
          signal: abort.signal,
          onStep: ({ step }) => (step === stopAt ? abort.abort() : undefined),
        }),
      );
      await expect(stopped).rejects.toThrow(`stopped as asked after step ${stopAt}`);
    }
    expect(files['model.safetensors']).toBeUndefined();
    const summary = await pretrainStudent(await job(files, { resume: true }));
    expect(summary.rows.map((row) => row.step)).toEqual(Array.from({ length: STEPS }, (_, i) => i + 1));
    expect(comparable(files)).toEqual(comparable(undisturbed));
    const left = Object.entries(files).filter(
      ([name, bytes]) => name.startsWith(PRETRAIN_CHECKPOINT) && bytes.length > 0,
    );
    expect(left).toEqual([]);

    const other: Record<string, Uint8Array> = {};
    await pretrainStudent(await job(other, { seed: 6 }));
    expect(comparable(other).weights).not.toEqual(comparable(undisturbed).weights);
  });

  it('may be made longer while its rate has not begun to fall, and not after', async () => {
    const longer = { ...(await job({})).settings, steps: STEPS + 8 }; // falls after 14 steps; of 12 after 8
    const undisturbed: Record<string, Uint8Array> = {};
    await pretrainStudent(await job(undisturbed, { settings: longer }));
    for (const stopAt of [8, 9]) {
      const files: Record<string, Uint8Array> = {};
      const abort = new AbortController();
      const stop = ({ step }: { step: number }): void => (step === stopAt ? abort.abort() : undefined);
      const stopped = pretrainStudent(await job(files, { signal: abort.signal, onStep: stop }));
      await expect(stopped).rejects.toThrow(`after step ${stopAt}`);
      const resumed = pretrainStudent(await job(files, { settings: longer, resume: true }));
      if (stopAt === 9) await expect(resumed).rejects.toThrow(/these differ: settings/);
      else {
        await resumed;
        expect(comparable(files)).toEqual(comparable(undisturbed));
      }
    }
  });

  it('refuses to overwrite a run under way, to resume nothing, and to resume with other settings', async () => {
    const files: Record<string, Uint8Array> = {};
    await expect(pretrainStudent(await job(files, { resume: true }))).rejects.toThrow(
      /expected a checkpoint in checkpoint\/ of/,
    );
    const abort = new AbortController();
    const first = await job(files, { signal: abort.signal, onStep: () => abort.abort() });
    await expect(pretrainStudent(first)).rejects.toThrow(/after step 1/);
    await expect(pretrainStudent(await job(files))).rejects.toThrow(/expected no pretraining under way/);
    await expect(pretrainStudent(await job(files, { resume: true, seed: 9 }))).rejects.toThrow(/these differ: seed/);
    for (const [name, bytes] of Object.entries(files)) if (name.includes('part-')) files[name] = bytes.slice(1);
    await expect(pretrainStudent(await job(files, { resume: true }))).rejects.toThrow(/all are damaged/);
  });

  it('trains a student further, with other documents and a fresh optimiser, and says what came before', async () => {
    const first: Record<string, Uint8Array> = {};
    const before = await pretrainStudent(await job(first));
    const further = async (files: Record<string, Uint8Array>, changes: Partial<PretrainJob> = {}) =>
      pretrainStudent(
        await job(files, { mix: 'look-up', seed: 6, earlier: await openEarlier(openMemoryRoot(first)), ...changes }),
      );
    const undisturbed: Record<string, Uint8Array> = {};
    const summary = await further(undisturbed);
    // It begins where the first one ended.
    expect(Math.abs(summary.rows[0]!['loss']! - before.rows.at(-1)!['loss']!)).toBeLessThan(0.7);
    expect(summary.before).toEqual(JSON.parse(JSON.stringify(before)));
    expect(comparable(undisturbed).weights).not.toEqual(comparable(first).weights);
    const card = new TextDecoder().decode(undisturbed['README.md']);
    for (const { sha256 } of [before, summary]) expect(card).toContain(sha256);
    expect(card).toContain('--seed 6 --mix look-up --from FIRST');

    const files: Record<string, Uint8Array> = {};
    const abort = new AbortController();
    const stop = ({ step }: { step: number }): void => (step === 7 ? abort.abort() : undefined);
    await expect(further(files, { signal: abort.signal, onStep: stop })).rejects.toThrow(/after step 7/);
    await expect(further(files, { resume: true, earlier: undefined })).rejects.toThrow(/these differ: from/);
    await further(files, { resume: true });
    expect(comparable(files)).toEqual(comparable(undisturbed));
  });

  it('trains nothing further that it cannot describe', async () => {
    const files: Record<string, Uint8Array> = {};
    await pretrainStudent(await job(files));
    const changed = (change: Record<string, Uint8Array | undefined>) => {
      const entries = Object.entries({ ...files, ...change }).filter(([, bytes]) => bytes !== undefined);
      return openEarlier(openMemoryRoot(Object.fromEntries(entries) as Record<string, Uint8Array>));
    };
    await expect(changed({})).resolves.toMatchObject({ shape: { hiddenSize: 16 } });
    await expect(changed({ 'pretraining.json': undefined })).rejects.toThrow(/expected pretraining\.json in .*none/);
    const other = files['model.safetensors']!.slice();
    other[other.length - 1]! ^= 1;
    await expect(changed({ 'model.safetensors': other })).rejects.toThrow(/they are others/);
    const tokenizer = new TextDecoder().decode(files['tokenizer.json']).replace('"lemon"', '"pomelo"');
    await expect(changed({ 'tokenizer.json': new TextEncoder().encode(tokenizer) })).rejects.toThrow(/vocabulary/);
  });
});

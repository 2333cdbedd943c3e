// inspect.test.ts: `pupil inspect …` as an engineer runs it beside her own PyTorch: real processes, real headless
// Chromium, files in and files out, against the numbers of transformers, PEFT, TRL and bitsandbytes. What the session
// computes behind it is tested in many more variants, without a browser, in test/golden/session-inspect.test.ts; so a second
// variant of a verb is left to the long tests here.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  dpoExpected,
  expectDpo,
  expectDpoTraining,
  expectGreedy,
  expectLogits,
  expectLoraTraining,
  expectNf4,
  expectQloraTraining,
  nf4Input,
  pairsFile,
  promptsFile,
  tensorsOf,
} from '../golden/compare';
import { GOLDEN, tensorsAt } from '../golden/files';
import { pupil } from './process';

/** A call launches a browser and compiles kernels for a CPU: 10 to 20 s on an idle machine. */
const TIMEOUT_MS = 300_000;
const LONG = process.env['PUPIL_TEST_LONG'] !== undefined;

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'pupil-inspect-'));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const golden = (path: string): string => join(GOLDEN, path);
const mine = (path: string): string => join(folder, path);

/** Runs one verb to its end, which must be a good one, and returns the file that it was told to write. */
async function inspect(verb: string, out: string, ...args: string[]): Promise<Uint8Array> {
  const ended = await pupil(['inspect', verb, ...args, '--out', mine(out), '--json']);
  expect(ended.code, ended.err).toBe(0);
  expect(ended.lines.at(-1)).toMatchObject({ type: 'inspect', kind: verb });
  return new Uint8Array(readFileSync(mine(out)));
}

const adapterOf = (path: string): Uint8Array => new Uint8Array(readFileSync(mine(`${path}/adapter_model.safetensors`)));

/** The recipe of every fixture's training: five AdamW steps. */
const training = (adapterOut: string): string[] => [
  '--steps',
  '5',
  '--lr',
  '0.01',
  '--weight-decay',
  '1e-4',
  '--adapter-out',
  mine(adapterOut),
];
const INIT = ['--adapter', golden('lora-llama-tiny/adapter_init')];
const LLAMA = ['--student', golden('llama-tiny')];

describe('pupil inspect, in headless Chromium', { timeout: TIMEOUT_MS }, () => {
  it('logits: llama-tiny within 1e-4 of transformers', async () => {
    const batch = golden('llama-tiny/expected.safetensors');
    const actual = await tensorsOf(await inspect('logits', 'logits.safetensors', ...LLAMA, '--batch', batch));
    const expected = await tensorsAt(batch);
    expect(actual.info('logits').shape).toEqual(expected.info('logits').shape);
    await expectLogits(actual, expected, 'logits', await expected.readNumbers('attention_mask'));
  });

  it('generate: greedy continuations are exactly those of transformers', async () => {
    writeFileSync(mine('prompts.json'), await promptsFile());
    const limits = ['--max-new-tokens', '16', '--temperature', '0'];
    await expectGreedy(
      await inspect('generate', 'generated.json', ...LLAMA, '--prompts', mine('prompts.json'), ...limits),
    );
  });

  it('gradients: loss, 28 LoRA gradients, five AdamW steps and the adapter of PEFT', async () => {
    const batch = ['--batch', golden('lora-llama-tiny/expected.safetensors')];
    const out = await inspect('gradients', 'lora.safetensors', ...LLAMA, ...INIT, ...batch, ...training('lora'));
    await expectLoraTraining(out, adapterOf('lora'));
  });

  it.runIf(LONG)('gradients: the same over a bitsandbytes 4-bit checkpoint as it is on disk', async () => {
    const student = ['--student', golden('qlora-llama-tiny-double/hf_bnb4bit')];
    const batch = ['--batch', golden('lora-llama-tiny/expected.safetensors')];
    const out = await inspect('gradients', 'qlora.safetensors', ...student, ...INIT, ...batch, ...training('qlora'));
    await expectQloraTraining(out, adapterOf('qlora'));
  });

  describe('dpo', () => {
    const REFERENCE = ['--reference-adapter', golden('lora-llama-tiny/adapter_init')];
    beforeAll(async () => writeFileSync(mine('pairs.json'), pairsFile(await dpoExpected())));

    it.each(LONG ? ['sigmoid', 'ipo'] : ['sigmoid'])(
      '%s: log-probabilities, rewards, losses and gradients of TRL',
      async (loss) => {
        const { variants } = await dpoExpected();
        const policy = ['--adapter', golden('lora-llama-tiny/adapter_final'), ...REFERENCE];
        const how = ['--pairs', mine('pairs.json'), '--loss', loss, '--beta', String(variants[loss]!.beta)];
        await expectDpo(await inspect('dpo', `${loss}.safetensors`, ...LLAMA, ...policy, ...how), loss);
      },
    );

    it('five steps from policy = reference: the first loss is ln 2, the adapter is TRL’s', async () => {
      const how = ['--pairs', mine('pairs.json'), '--loss', 'sigmoid', '--beta', '0.1'];
      const args = [...LLAMA, ...INIT, ...REFERENCE, ...how, ...training('dpo')];
      await expectDpoTraining(await inspect('dpo', 'dpo.safetensors', ...args), adapterOf('dpo'));
    });
  });

  const NF4: [string, string[]][] = [['double', ['--double']], ...(LONG ? [['single', []] as [string, string[]]] : [])];
  it.each(NF4)('nf4, %s quantisation: bitsandbytes’ bytes outside the ambiguous elements', async (kind, flags) => {
    writeFileSync(mine('weights.safetensors'), await nf4Input());
    const out = await inspect('nf4', `${kind}.safetensors`, '--input', mine('weights.safetensors'), ...flags);
    await expectNf4(out, kind === 'double');
  });
});

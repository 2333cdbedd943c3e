// inspectFamilies.test.ts: `pupil inspect … --host node` on a qwen2 checkpoint (biases, tied embeddings) as an engineer runs it:
// real processes and files, against the numbers of PyTorch in test/fixtures/families. Further families: test/golden/families.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { expectLogits, tensorsOf, worst } from '../golden/compare';
import { FAMILIES } from '../golden/familyFiles';
import { jsonAt, tensorsAt } from '../golden/files';
import { pupil } from './process';

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'pupil-inspect-families-'));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const STUDENT = join(FAMILIES, 'qwen2-tied');
const BATCH = join(STUDENT, 'expected.safetensors');

async function inspect(verb: string, out: string, ...args: string[]): Promise<Uint8Array> {
  const path = join(folder, out);
  const ended = await pupil([
    'inspect',
    verb,
    '--student',
    STUDENT,
    ...args,
    '--out',
    path,
    '--host',
    'node',
    '--json',
  ]);
  expect(ended.code, ended.err).toBe(0);
  return new Uint8Array(readFileSync(path));
}

describe('pupil inspect of a qwen2, in Node', { timeout: 300_000 }, () => {
  it('logits within 1e-4 of PyTorch', async () => {
    const expected = await tensorsAt(BATCH);
    const actual = await tensorsOf(await inspect('logits', 'logits.safetensors', '--batch', BATCH));
    await expectLogits(actual, expected, 'logits', await expected.readNumbers('attention_mask'));
  });

  it('gradients of an adapter: loss, log-probabilities, all 42 tensors', async () => {
    const expected = await tensorsAt(BATCH);
    const out = await inspect('gradients', 'g.safetensors', '--adapter', join(STUDENT, 'adapter'), '--batch', BATCH);
    const actual = await tensorsOf(out);
    expect(worst(await actual.readF32('loss'), await expected.readF32('loss'), 1e-4)).toBeLessThan(1);
    expect(worst(await actual.readF32('token_logps'), await expected.readF32('token_logps'), 1e-4)).toBeLessThan(1);
    const names = expected.tensorNames.filter((name) => name.startsWith('grad.'));
    expect(names).toHaveLength(42);
    for (const name of names) {
      expect(worst(await actual.readF32(name), await expected.readF32(name), 5e-6, 1e-4), name).toBeLessThanOrEqual(1);
    }
  });

  it('generate: three greedy answers exactly', async () => {
    const { generation } = await jsonAt<{ generation: { prompt: number[]; generated: number[] }[] }>(
      join(STUDENT, 'expected.json'),
    );
    const prompts = join(folder, 'prompts.json');
    writeFileSync(prompts, JSON.stringify(generation.map(({ prompt }) => prompt)));
    const limits = ['--max-new-tokens', '20', '--temperature', '0'];
    const out = await inspect('generate', 'generated.json', '--prompts', prompts, ...limits);
    const answers = JSON.parse(new TextDecoder().decode(out)) as { ids: number[] }[];
    expect(answers.map(({ ids }) => ids)).toEqual(generation.map(({ generated }) => generated));
  });
});

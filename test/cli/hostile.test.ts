// hostile.test.ts: damaged and malicious files through the real command line (on Dawn, whose start takes a second): each ends
// with code 1, one JSON error on stdout that names the file as the person knows it, what was expected and what came, quickly,
// and nothing is written. What every floor refuses on its own is tested in many more variants there.
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { GOLDEN } from './fakeSession';
import { pupil } from './process';
import { prototypeSmoke } from '../fixtures/prototypeSmoke';

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'pupil-hostile-'));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const LLAMA = join(GOLDEN, 'llama-tiny');
const ADAPTER = join(GOLDEN, 'lora-llama-tiny/adapter_init');
const QUERY = 'model.layers.0.self_attn.q_proj.weight';
const LFS = `version https://git-lfs.github.com/spec/v1\noid sha256:${'0'.repeat(64)}\nsize 12345\n`;

type Header = Record<string, { dtype: string; shape: number[]; data_offsets: [number, number] }>;

/** The weights of llama-tiny with another header. */
function withHeader(change: (header: Header, bodyBytes: number) => void): Buffer {
  const file = readFileSync(join(LLAMA, 'model.safetensors'));
  const length = Number(file.readBigUInt64LE(0));
  const header = JSON.parse(file.subarray(8, 8 + length).toString()) as Header;
  const body = file.subarray(8 + length);
  change(header, body.length);
  const text = Buffer.from(JSON.stringify(header));
  const size = Buffer.alloc(8);
  size.writeBigUInt64LE(BigInt(text.length));
  return Buffer.concat([size, text, body]);
}

/** A copy of a fixture's folder, changed. */
function copy(source: string, change: (folder: string) => void): string {
  const target = mkdtempSync(join(folder, 'case-'));
  cpSync(source, target, { recursive: true });
  change(target);
  return target;
}

const weights =
  (bytes: Buffer | string) =>
  (at: string): void =>
    writeFileSync(join(at, 'model.safetensors'), bytes);
const whole = readFileSync(join(LLAMA, 'model.safetensors'));
const lying = Buffer.from(whole);
lying.writeBigUInt64LE(2n ** 60n);

interface Case {
  claim: string;
  /** What is changed in a copy of llama-tiny, or of its adapter. */
  student?: (at: string) => void;
  adapter?: (at: string) => void;
  file: string;
  words: string[];
}

const shards = (map: Record<string, string>) => (at: string) => {
  writeFileSync(join(at, 'model-1.safetensors'), whole);
  rmSync(join(at, 'model.safetensors'));
  writeFileSync(join(at, 'model.safetensors.index.json'), JSON.stringify({ weight_map: map }));
};

const CASES: Case[] = [
  {
    claim: 'weights that break off',
    student: weights(whole.subarray(0, whole.length - 1000)),
    file: 'model.safetensors',
    words: [`${whole.length - 1000} bytes`],
  },
  {
    claim: 'a header of 2^60 bytes',
    student: weights(lying),
    file: 'model.safetensors',
    words: ['header', String(2n ** 60n)],
  },
  {
    claim: 'an LFS pointer for weights',
    student: weights(LFS),
    file: 'model.safetensors',
    words: ['Git-LFS'],
  },
  {
    claim: 'tensors that overlap',
    student: weights(
      withHeader((h) => (h[QUERY]!.data_offsets = h['model.layers.1.self_attn.q_proj.weight']!.data_offsets)),
    ),
    file: 'model.safetensors',
    words: ['expected it to begin'],
  },
  {
    claim: 'a tensor beyond the file',
    student: weights(
      withHeader((h, bytes) => {
        const [from, to] = h[QUERY]!.data_offsets;
        h[QUERY]!.data_offsets = [bytes, bytes + to - from];
      }),
    ),
    file: 'model.safetensors',
    words: [QUERY, 'the file has'],
  },
  {
    claim: 'integers for weights',
    student: weights(withHeader((h) => (h[QUERY]!.dtype = 'I32'))),
    file: 'model.safetensors',
    words: [QUERY, 'F32', 'I32'],
  },
  {
    claim: 'a shard that is missing',
    student: shards({ [QUERY]: 'model-2.safetensors' }),
    file: '',
    words: ['model-2.safetensors', 'missing'],
  },
  {
    claim: 'an index that leads out of its folder',
    student: shards({ [QUERY]: '../../../../etc/passwd' }),
    file: 'model.safetensors.index.json',
    words: [QUERY, '../../../../etc/passwd'],
  },
  {
    claim: 'a config without a size',
    student: (at) => writeFileSync(join(at, 'config.json'), '{"model_type": "llama", "num_hidden_layers": 2}'),
    file: 'config.json',
    words: ['hidden_size', 'missing'],
  },
  {
    claim: 'a config that is no JSON',
    student: (at) => writeFileSync(join(at, 'config.json'), '{"model_type": "lla'),
    file: 'config.json',
    words: ['expected JSON'],
  },
  {
    claim: 'an adapter of another rank than it says',
    adapter: (at) => {
      const config = JSON.parse(readFileSync(join(at, 'adapter_config.json'), 'utf8')) as object;
      writeFileSync(join(at, 'adapter_config.json'), JSON.stringify({ ...config, r: 16 }));
    },
    file: 'adapter_model.safetensors',
    words: ['lora_A', '[16, inputs]', '[8,'],
  },
  {
    claim: 'an adapter whose targets are others than its weights',
    adapter: (at) => {
      const config = JSON.parse(readFileSync(join(at, 'adapter_config.json'), 'utf8')) as object;
      writeFileSync(join(at, 'adapter_config.json'), JSON.stringify({ ...config, target_modules: ['qkv'] }));
    },
    file: 'adapter_model.safetensors',
    words: ['target_modules', 'qkv'],
  },
];

describe('the command line refuses', () => {
  it.each(CASES)('$claim', async ({ student, adapter, file, words }) => {
    const at = student === undefined ? LLAMA : copy(LLAMA, student);
    const tuned = adapter === undefined ? undefined : copy(ADAPTER, adapter);
    const out = join(folder, 'out.safetensors');
    const batch = join(LLAMA, 'expected.safetensors');
    const more = tuned === undefined ? [] : ['--adapter', tuned];
    const args = ['inspect', 'logits', '--student', at, ...more, '--batch', batch, '--out', out];
    const ended = await pupil([...args, '--host', 'node', '--json']);
    expect(ended.code, ended.err).toBe(1);
    expect(ended.lines).toHaveLength(1);
    expect(ended.lines[0]).toMatchObject({ type: 'error' });
    expect(['format', 'checkpoint']).toContain(ended.lines[0]!['code']);
    for (const word of [join(tuned ?? at, file), ...words]) expect(ended.lines[0]!['message']).toContain(word);
    expect(existsSync(out)).toBe(false);
    expect(ended.durationMs).toBeLessThan(60_000); // a hang, or an allocation by a lying header, takes longer
  });
});

describe('a run refuses', () => {
  /** A short experiment on copies of its files, one of them changed. */
  async function run(change: (at: string) => void): Promise<Record<string, unknown>> {
    const at = mkdtempSync(join(folder, 'run-'));
    cpSync(join(GOLDEN, '../lesson'), at, { recursive: true });
    change(at);
    const moved = JSON.stringify(prototypeSmoke()).replaceAll('../test/fixtures/lesson', at);
    writeFileSync(join(at, 'experiment.json'), moved);
    const out = join(at, 'out');
    const ended = await pupil(['run', join(at, 'experiment.json'), '--out', out, '--host', 'node', '--json']);
    expect(ended.code, ended.err).toBe(1);
    const error = ended.lines.at(-1)!;
    expect(error).toMatchObject({ type: 'error' });
    // Nothing to resume was left, so the corrected experiment starts in the same folder.
    expect(existsSync(join(out, 'checkpoints'))).toBe(false);
    return error;
  }

  it('demonstrations of which no line can be read, naming the first', async () => {
    const name = 'task-C-train-in-seed0.jsonl';
    const error = await run((at) => writeFileSync(join(at, name), '{"question": "half a li\nnot json either\n'));
    expect(error['message']).toContain(name);
    expect(String(error['message'])).toMatch(/:1\b|line 1/);
  });

  it('a vocabulary that is no list of words', async () => {
    const error = await run((at) => writeFileSync(join(at, 'vocab.json'), '{"tokens": '));
    expect(error['message']).toContain('vocab.json');
  });

  it('a folder in place of a file', async () => {
    const error = await run((at) => {
      rmSync(join(at, 'task-C-test.jsonl'));
      mkdirSync(join(at, 'task-C-test.jsonl'));
    });
    expect(error['message']).toContain('task-C-test.jsonl');
  });
});

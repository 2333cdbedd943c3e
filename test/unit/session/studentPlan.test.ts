// studentPlan.test.ts: a student planned from its folder through the session: what is read, what is not, and refusals; no
// device is opened.
import { describe, expect, it } from 'vitest';
import { Session } from '../../../src/session/session';
import { planStudentFolder } from '../../../src/session/studentPlan';
import { openFileRoot } from '../../../src/sources/fileRoot';
import { MemoryRunStore } from '../../../src/storage/memory';
import { tinyFiles } from './tinyRun';

const text = (value: unknown): Uint8Array => new TextEncoder().encode(JSON.stringify(value));
const { 'student/config.json': config, 'student/model.safetensors': weights } = tinyFiles() as Record<
  'student/config.json' | 'student/model.safetensors',
  Uint8Array
>;
const json = JSON.parse(new TextDecoder().decode(config)) as Record<string, unknown>;
const noGpu = new Session(() => {
  throw new Error('no device is needed');
}, new MemoryRunStore());
const plan = (files: Record<string, Uint8Array>, more: object = {}): ReturnType<typeof noGpu.planStudent> =>
  noGpu.planStudent({
    files: { kind: 'memory', files },
    student: 'student',
    settings: { length: 96, newTokens: 32 },
    ...more,
  });

describe('planStudent', () => {
  it('needs config.json only; the download is told by the index, the file, or estimated', async () => {
    const alone = await plan({ 'student/config.json': config });
    expect(alone.verdict).toBe('unknown');
    expect(alone.limits).toBeUndefined();
    expect(alone.download).toEqual({ bytes: 2 * alone.parameters, from: 'estimate' });
    const index = text({ metadata: { total_size: 123456 }, weight_map: { a: 'b.safetensors' } });
    expect(
      (await plan({ 'student/config.json': config, 'student/model.safetensors.index.json': index })).download,
    ).toEqual({
      bytes: 123456,
      from: 'index',
    });
    const single = await plan({ 'student/config.json': config, 'student/model.safetensors': weights });
    expect(single.download).toEqual({ bytes: weights.length, from: 'file' });
    expect(single.student).toBe('student');
  });

  it('a short context bounds the lengths that nobody named, and one that is named is held against it', async () => {
    const short = { 'student/config.json': text({ ...json, max_position_embeddings: 40 }) };
    const { settings } = await plan(short, { settings: {} });
    expect(settings).toMatchObject({ length: 40, newTokens: 20 });
    await expect(plan(short, { settings: { length: 41 } })).rejects.toMatchObject({ code: 'config' });
  });

  it('reads nothing of the weights', async () => {
    const read: string[] = [];
    const root = openFileRoot({
      kind: 'memory',
      files: { 'student/config.json': config, 'student/model.safetensors': weights },
    });
    const watched = {
      open: async (path: string) => {
        const file = await root.open(path);
        return (
          file && {
            ...file,
            read: (start: number, end: number) => {
              read.push(path);
              return file.read(start, end);
            },
          }
        );
      },
    };
    await planStudentFolder({ student: 'student', settings: { length: 96, newTokens: 32 } }, watched);
    expect([...new Set(read)]).toEqual(['student/config.json']);
  });

  it('holds it against a budget and against limits, the device’s where none are said', async () => {
    const whole = await plan({ 'student/config.json': config });
    const budgetBytes = whole.peak.totalBytes - 1;
    expect((await plan({ 'student/config.json': config }, { budgetBytes })).verdict).toBe('too-large');
    expect((await plan({ 'student/config.json': config }, { budgetBytes: budgetBytes + 1 })).verdict).toBe('fits');
    const limits = { maxBufferSize: 1000, maxStorageBufferBindingSize: 1000 };
    const refused = await plan({ 'student/config.json': config }, { limits });
    expect(refused.reasons[0]).toMatch(/model.embed_tokens.weight takes \d+ bytes, the largest buffer/);
    const root = openFileRoot({ kind: 'memory', files: { 'student/config.json': config } });
    const request = { student: 'student', settings: { length: 96, newTokens: 32 } };
    expect((await planStudentFolder(request, root, limits)).limits).toEqual(limits);
  });

  it('refuses what is not supported, by name and with what is, and a folder without config.json', async () => {
    const other = text({ ...json, model_type: 'mamba', architectures: ['MambaForCausalLM'] });
    await expect(plan({ 'student/config.json': other })).rejects.toMatchObject({
      code: 'checkpoint',
      message: expect.stringMatching(/student\/config.json: model_type: expected .*"llama".*got "mamba"/) as string,
    });
    await expect(plan({})).rejects.toThrow(/student: expected a file config.json, there is none/);
    await expect(plan({ 'student/config.json': text([]) })).rejects.toMatchObject({ code: 'format' });
    await expect(plan({ 'student/config.json': config }, { settings: { length: 9999 } })).rejects.toThrow(/192 tokens/);
  });
});

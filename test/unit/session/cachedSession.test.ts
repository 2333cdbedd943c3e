// cachedSession.test.ts: the cache of students through a session's calls: every one that loads a student uses it as asked, runs
// and evaluations say so in their log, and the calls about cached students themselves.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { nodeGpu } from '../../../src/gpu/node';
import type { CacheUse, SessionEvent } from '../../../src/session/protocol';
import { Session } from '../../../src/session/session';
import { MemoryCachePlace } from '../../../src/storage/cacheMemory';
import { MemoryRunStore } from '../../../src/storage/memory';
import { tinyExperiment, tinyFiles } from './tinyRun';

const text = (value: unknown): Uint8Array => new TextEncoder().encode(JSON.stringify(value));
const memory = { ...tinyFiles(), 'prompts.json': text([[1, 5, 9]]) };
const files = { kind: 'memory' as const, files: memory };
const experiment = tinyExperiment({
  phases: { baseline: true, instruct: false, selfRefine: false },
  evaluation: { prompts: ['plain'], maxNewTokens: 2, batchSize: 5 },
});

let session: Session;
const place = new MemoryCachePlace();
beforeAll(async () => {
  session = new Session(await nodeGpu(), new MemoryRunStore(), undefined, undefined, undefined, undefined, {
    own: place,
  });
  await session.open({ tier: 'f32' });
});
afterAll(() => session.close());

const logOf = (events: readonly SessionEvent[]): string =>
  events.flatMap((event) => (event.type === 'log' ? [event.message] : [])).join('\n');

describe('a session with a cache', () => {
  it('evaluates, runs, asks and inspects with the same cached student, and says so in the log and the report', async () => {
    const evaluate = async (cache: CacheUse): Promise<{ rows: unknown; log: string; tasks: Set<string> }> => {
      const events: SessionEvent[] = [];
      const rows = await session.evaluate({ experiment, files, cache }, (event) => events.push(event));
      const tasks = events.flatMap((event) => (event.type === 'progress' ? [event.progress.task] : []));
      return { rows, log: logOf(events), tasks: new Set(tasks) };
    };
    const first = await evaluate('on');
    expect(first.log).toContain('cached in memory as');
    const second = await evaluate('on');
    expect(second.log).toContain('student: from the cache of memory');
    expect(second.tasks).toContain('Loading student from the cache');
    expect(second.rows).toEqual(first.rows);

    const summary = await session.run({ runId: 'r', experiment, files, cache: 'on' }, () => undefined);
    expect(summary.state).toBe('finished');
    expect(JSON.stringify(summary.report)).toContain('student: from the cache of memory');

    const [used] = await session.cachedStudents();
    await new Promise((resolve) => setTimeout(resolve, 5));
    expect((await session.exampleQuestions({ experiment, files, cache: 'on' })).words!.length).toBeGreaterThan(50);
    const question = 'There are 9 cookies in each jar';
    const request = { experiment, files, system: 'Baseline' as const, prompt: 'plain' as const, question };
    const asked = await session.ask({ ...request, cache: 'on' });
    expect(asked.unknownWords).toEqual([]);
    expect((await session.cachedStudents())[0]!.usedAt! > used!.usedAt!).toBe(true);
    await session.open({ tier: 'f32' }); // forgets what it loaded
    expect(await session.ask({ ...request, cache: 'off' })).toEqual(asked);

    const inspect = async (cache: CacheUse): Promise<string> => {
      const out = { kind: 'memory' as const, files: {} as Record<string, Uint8Array> };
      const options = { student: 'student', prompts: 'prompts.json', out: 'o.json', quantize: 'nf4-double' };
      await session.inspect({ kind: 'generate', files, out, options, cache });
      return new TextDecoder().decode(out.files['o.json']);
    };
    const before = (await session.cachedStudents())[0]!.usedAt!;
    await new Promise((resolve) => setTimeout(resolve, 5));
    const fromCache = await inspect('on');
    expect((await session.cachedStudents())[0]!.usedAt! > before).toBe(true);
    expect(fromCache).toBe(await inspect('off'));
    expect(await session.cachedStudents()).toHaveLength(1);
  });

  it('lists, verifies and deletes', async () => {
    const [student] = await session.cachedStudents();
    expect(student).toMatchObject({ source: 'student', settings: { quantize: 'nf4-double' } });
    expect((await session.verifyCachedStudent(student!.key)).problems).toEqual([]);
    await session.deleteCachedStudent(student!.key);
    expect(await session.cachedStudents()).toEqual([]);
    expect([...place.entries.keys()]).toEqual([]);
  });
});

it('a session without a cache has none to list, and says so when one is asked for', async () => {
  const bare = new Session(await nodeGpu(), new MemoryRunStore());
  expect(await bare.cachedStudents()).toEqual([]);
  await expect(bare.verifyCachedStudent('0'.repeat(32))).rejects.toMatchObject({ code: 'usage' });
  const asked = bare.evaluate({ experiment, files, cache: 'on' }, () => undefined);
  await expect(asked).rejects.toMatchObject({ code: 'usage' });
  await expect(bare.open({ studentFiles: files })).rejects.toMatchObject({ code: 'usage' });
  bare.close();
});

// A run that is stopped, killed, out of room, damaged, moved, or taken elsewhere, and gone on with: in the end nothing of it shows.
import { describe, expect, it } from 'vitest';
import { PupilError } from '../../../src/base/errors';
import { RandomStream } from '../../../src/base/random';
import type { RunReport } from '../../../src/report/types';
import type { ImportRunRequest, SessionEvent } from '../../../src/session/protocol';
import { importRun } from '../../../src/session/runImport';
import { Session } from '../../../src/session/session';
import { MemoryPlace, MemoryRunStore } from '../../../src/storage/memory';
import { asBlobs } from '../../support/runFiles';
import { ADAPTERS, expectSameAs, run, session, stoppedAt, undisturbed, type Result } from './runHarness';
import { tinyExperiment, tinyFiles } from './tinyRun';

describe('resume = never paused', () => {
  const stopAt = async (events: number[]): Promise<Result> => {
    const store = new MemoryRunStore();
    let result: Result | undefined;
    for (const [sitting, at] of [...events, Infinity].entries()) {
      result = await run({
        store,
        resume: sitting > 0,
        interrupt: (_, count) => {
          if (count === at) void session.stop();
        },
      });
      if (result.summary.state === 'finished') break;
      expect(result.summary.error).toBeUndefined();
      expect(result.summary.state).toBe('stopped');
    }
    return result!;
  };

  it('stopped at random moments, the run ends with the same adapters, pairs and predictions, bit for bit', async () => {
    const before = await undisturbed();
    const random = new RandomStream(20, 'kill points');
    for (let trial = 0; trial < (process.env['PUPIL_TEST_LONG'] === undefined ? 1 : 3); trial++) {
      const points = [30 + random.nextBelow(60), 20 + random.nextBelow(40)];
      const after = await stopAt(points);
      await expectSameAs(before, after, `stopped after events ${points.join(', ')}`);
    }
  });

  /** What is left of a store when its process has died. */
  const remainsOf = (store: MemoryRunStore): MemoryRunStore => {
    const remains = new MemoryRunStore();
    const [from, to] = [store.place('tiny'), remains.place('tiny')];
    [to.commits[0], to.commits[1]] = from.commits;
    from.parts.forEach((bytes, number) => to.parts.set(number, bytes));
    return remains;
  };
  it('a process that dies without a word resumes from its last checkpoint, bit for bit', async () => {
    const before = await undisturbed();
    for (const at of [6, 9]) {
      let left: MemoryRunStore | undefined;
      let seen = 0;
      await run({
        store: new (class extends MemoryRunStore {
          override async saveCheckpoint(...args: Parameters<MemoryRunStore['saveCheckpoint']>): Promise<void> {
            await super.saveCheckpoint(...args);
            if (++seen === at) left = remainsOf(this);
          }
        })(),
      });
      await expectSameAs(before, await run({ store: left!, resume: true }), `from checkpoint ${at}`);
    }
  });

  it('where there is no room for a checkpoint the run ends saying so, and resumes from the one before', async () => {
    const before = await undisturbed();
    let writes = 0;
    const store = new (class extends MemoryRunStore {
      override place(runId: string): MemoryPlace {
        const place = super.place(runId);
        const writePart: MemoryPlace['writePart'] = (number, bytes) => {
          if (++writes > 30)
            return Promise.reject(new PupilError('storage-full', 'no room', 'Free some, then resume.'));
          return MemoryPlace.prototype.writePart.call(place, number, bytes);
        };
        return Object.assign(Object.create(place) as MemoryPlace, { writePart });
      }
    })();
    const full = await run({ store });
    expect(full.summary.state).toBe('failed');
    expect(full.summary.error).toMatchObject({ code: 'storage-full', hint: 'Free some, then resume.' });
    await expectSameAs(before, await run({ store: remainsOf(store), resume: true }), 'with room again');
  });

  it('a damaged checkpoint gives way to the one before it, which the run’s log tells', async () => {
    const before = await undisturbed();
    const store = new MemoryRunStore();
    const stopped = await stoppedAt('self-refine', 3, { store });
    expect(stopped.summary.state).toBe('stopped');
    const newest = await store.loadCheckpoint('tiny');
    const state = newest!.parts.get('state')!;
    const place = store.place('tiny');
    for (const bytes of place.parts.values()) {
      if (bytes.byteLength === state.byteLength && bytes.every((byte, i) => byte === state[i])) bytes[7]! ^= 1;
    }
    const after = await run({ store: remainsOf(store), resume: true });
    await expectSameAs(before, after, 'over a damaged checkpoint');
    const { log } = after.summary.report as RunReport;
    expect(log).toContainEqual({
      level: 'warning',
      message: expect.stringMatching(/^resume: checkpoint \d+: part \d+ \("state"\): expected SHA-256/) as string,
    });
  });

  it('the output folder alone is enough to resume from', async () => {
    const before = await undisturbed();
    const out: Record<string, Uint8Array> = {};
    const first = await stoppedAt('self-refine', 2, { out });
    expect(first.summary.state).toBe('stopped');
    const second = await run({ out, resume: true });
    expect(second.summary.state).toBe('finished');
    for (const path of ADAPTERS) expect(out[path], path).toEqual(before.out[path]);
    // The second sitting begins with what the first one showed, so that together nothing is missing.
    const [history, ...others] = second.events.filter((event) => event.type === 'history');
    expect(others).toEqual([]);
    expect(history).toMatchObject({ finished: ['baseline', 'instruct', 'generate-pairs'] });
    const told = (events: readonly SessionEvent[]): string[] =>
      events.flatMap((event) => (event.type === 'metrics' ? [`${event.phase} ${event.step}`] : []));
    const remembered = history?.type === 'history' ? history : undefined;
    const all = [...(remembered?.metrics ?? []).map(({ phase, step }) => `${phase} ${step}`), ...told(second.events)];
    expect([...new Set(all)].sort()).toEqual([...new Set(told(before.events))].sort());
    expect(remembered?.evaluations).toEqual(
      before.events.flatMap((event) =>
        event.type === 'evaluation' && event.row.system === 'Baseline' ? [event.row] : [],
      ),
    );
    expect(Object.keys(remembered?.pairs ?? {})).toContain('training_pairs');
    expect(remembered?.log.length).toBeGreaterThan(0);
  });

  it('refuses to go on with another experiment, and says what changed', async () => {
    const { store } = await undisturbed();
    await expect(run({ store, resume: true, experiment: tinyExperiment({ seed: 4 }) })).rejects.toMatchObject({
      code: 'config',
      message: expect.stringContaining('seed') as string,
    });
  });

  it('goes on with the same files in another place, and refuses others in the same place', async () => {
    const before = await undisturbed();
    const { store } = await stoppedAt('instruct', 3);
    const changed = (name: string, change: (bytes: Uint8Array) => Uint8Array): Record<string, Uint8Array> => {
      const all = tinyFiles();
      return { ...all, [name]: change(all[name]!) };
    };
    const refused = (what: string): object => ({
      code: 'checkpoint',
      message: expect.stringContaining(what) as string,
    });
    const tuned = (bytes: Uint8Array): Uint8Array =>
      bytes.map((byte, i) => (i > bytes.length / 2 && i % 4 === 0 ? byte ^ 1 : byte));
    const weights = changed('student/model.safetensors', tuned);
    await expect(run({ store, resume: true, files: weights })).rejects.toMatchObject(refused('student was'));
    const questions = changed('test.jsonl', (bytes) => bytes.slice(0, bytes.lastIndexOf(10)));
    await expect(run({ store, resume: true, files: questions })).rejects.toMatchObject(refused('data was'));

    const moved = Object.fromEntries(Object.entries(tinyFiles()).map(([name, bytes]) => [`elsewhere/${name}`, bytes]));
    const places = /"(student|vocab\.json|train\.jsonl|test\.jsonl)"(?!:)/g;
    const experiment: unknown = JSON.parse(JSON.stringify(tinyExperiment()).replace(places, '"elsewhere/$1"'));
    await expectSameAs(before, await run({ store, resume: true, files: moved, experiment }), 'moved');
  });
});

describe('a run that is taken elsewhere in the middle', () => {
  const ignore = (): void => undefined;
  /** The run in a store of its own, as another browser takes it in. */
  async function takenIn(source: ImportRunRequest['source']): Promise<MemoryRunStore> {
    const store = new MemoryRunStore();
    const outcome = await importRun(store, { from: 'elsewhere', source, existing: 'ask' }, ignore);
    expect(outcome).toMatchObject({ state: 'imported', runId: 'tiny' });
    return store;
  }

  it('as a zip with its checkpoint is resumed there to the same bits; its name and whence it came stay', async () => {
    const before = await undisturbed();
    const { store } = await stoppedAt('self-refine', 3);
    const what = { kind: 'everything', checkpoint: true } as const;
    const there = new Session(() => Promise.reject(new Error('no GPU is needed')), store);
    const { blob } = await there.exportRun({ runId: 'tiny', what }, ignore);
    const here = await takenIn({ kind: 'zip', blob });
    const [record] = await here.listRuns();
    expect(record).toMatchObject({ state: 'stopped', phase: 'self-refine', imported: { from: 'elsewhere' } });
    expect(record!.sizeBytes).toBeGreaterThan(0);
    const after = await run({ store: here, resume: true });
    await expectSameAs(before, after, 'exported and imported');
    expect((await here.listRuns())[0]).toMatchObject({ state: 'finished', imported: record!.imported });
    const { log } = after.summary.report as RunReport;
    expect(log.map(({ message }) => message).join()).not.toContain('resume:');
  });

  it('as the folder of the command line, stopped or killed, is resumed to the same bits', async () => {
    const before = await undisturbed();
    const out: Record<string, Uint8Array> = {};
    await stoppedAt('instruct', 3, { out });
    const stopped = await takenIn({ kind: 'files', files: asBlobs(out) });
    await expectSameAs(before, await run({ store: stopped, resume: true }), 'stopped there');

    // Killed: it had no time for a report, and its record says that it runs.
    const { 'report.json': _, 'report.html': __, ...rest } = out;
    const text = new TextDecoder().decode(rest['checkpoints/run.json']).replace('"stopped"', '"running"');
    const killed = await takenIn({
      kind: 'files',
      files: asBlobs({ ...rest, 'checkpoints/run.json': new TextEncoder().encode(text) }),
    });
    expect(await killed.listRuns()).toMatchObject([{ name: 'Tiny', state: 'running', phase: 'instruct', step: 3 }]);
    await expectSameAs(before, await run({ store: killed, resume: true }), 'killed there');
  });
});

// verbsTeach.test.ts: `pupil teach` from the command line to files, against the fake API over HTTP and the lesson's generated
// items: resumed, estimated, refused, read back as an experiment reads it, and the key in none of it.
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { main } from '../../src/cli/program';
import { askSecret } from '../../src/cli/secret';
import { lessonFileText } from '../../src/session/lessonFiles';
import { teacherTask } from '../../src/session/taskItems';
import { TASKS } from '../../src/tasks/registry';
import type { Demonstration } from '../../src/teachers/demonstration';
import { loadDemonstrations } from '../../src/teachers/disk';
import { FakeApi, type Fault } from '../support/fakeApi';
import { startFakeServer, type FakeServer } from '../support/fakeServer';
import { expectKeyNowhere } from '../support/keySearch';
import { jsonLines, Kept } from './fakeSession';

const KEY = 'sk-test-ABCDEFGH/ijkl+0123456789';
const PATH = 'lesson:sums/train?count=12&seed=3';
const ITEMS = TASKS['lesson-sums'].load([{ path: PATH, text: lessonFileText(PATH) }]).items;

let folder: string;
let server: FakeServer;
let api: FakeApi;
/** The faults of the next requests. */
let faults: Fault[];

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'pupil-teach-'));
  faults = [];
  api = new FakeApi({
    fault: () => faults.shift() ?? 'ok',
    now: () => Date.now(),
    longMs: 1e9,
    // As a careless server might; and an answer that the lesson's extractor reads.
    echo: (headers) => `${headers.get('authorization')} The answer is 7.`,
  });
  server = await startFakeServer(api, 20);
  process.env['TEST_TEACHER_KEY'] = KEY;
});
afterEach(async () => {
  await server.close();
  rmSync(folder, { recursive: true, force: true });
  delete process.env['TEST_TEACHER_KEY'];
});

async function teach(...flags: string[]): Promise<{ code: number; out: string; err: string }> {
  const [out, err] = [new Kept(), new Kept()];
  const standard = [
    '--task',
    'lesson-sums',
    '--files',
    PATH,
    '--base-url',
    server.base,
    '--model',
    'big',
    '--concurrency',
    '2',
  ];
  const code = await main(['teach', ...standard, '--key-env', 'TEST_TEACHER_KEY', ...flags], {}, { out, err });
  return { code, out: out.text, err: err.text };
}

const outFile = (): string => join(folder, 'd.jsonl');
const rows = (): Demonstration[] => jsonLines(readFileSync(outFile(), 'utf8')) as unknown as Demonstration[];

const expectNoKey = (...texts: string[]): void => expectKeyNowhere(KEY, folder, ...texts);

describe('pupil teach', () => {
  it('writes demonstrations in the order of the items, which an experiment reads back as they are', async () => {
    const { code, out, err } = await teach('--out', outFile());
    expect([code, api.asked.length]).toEqual([0, 12]);
    expect(rows().map(({ itemId }) => itemId)).toEqual(ITEMS.map(({ id }) => id));
    const right = ITEMS.filter(({ target }) => target === '7').length;
    expect(out).toContain(`${right} right of n = 12`);
    expect(err).toContain('12 requests to send');
    const config = {
      label: 'big',
      task: 'lesson-sums',
      files: ['d.jsonl'],
      format: 'jsonl',
      family: 'out-family',
    } as const;
    const loaded = await loadDemonstrations(
      { ...config, fraction: 1, keepWrong: true, truncateAt: [], rationaleIndex: 0 } as never,
      teacherTask('lesson-sums', 'lesson-sums', ITEMS),
      () => Promise.resolve(readFileSync(outFile(), 'utf8')),
    );
    expect(loaded.demonstrations).toEqual(rows());
    expect(loaded.rejected).toEqual([]);
    expect(loaded.correct).toBe(right);
    expectNoKey(out, err);
    expect(server.headers.every(({ authorization }) => authorization === `Bearer ${KEY}`)).toBe(true);
  });

  it('asks nothing twice: the same command again, and one that goes on where the cache was torn', async () => {
    await teach('--out', outFile());
    const first = readFileSync(outFile(), 'utf8');
    await teach('--out', outFile());
    expect(api.asked).toHaveLength(12);
    expect(readFileSync(outFile(), 'utf8')).toBe(first);
    const cache = join(folder, 'd.cache.jsonl');
    truncateSync(cache, readFileSync(cache).byteLength - 40); // a crash in the middle of the last line
    rmSync(outFile());
    expect((await teach('--out', outFile())).code).toBe(0);
    expect(api.asked).toHaveLength(13);
    expect(rows()).toHaveLength(12);
    expect((await teach('--out', outFile(), '--json')).code).toBe(0);
    expect(api.asked).toHaveLength(13);
  });

  it('two answers an item, under their own ids; equal settings share a cache, others do not', async () => {
    await teach('--out', outFile(), '--limit', '3', '--samples', '2');
    const id = ITEMS[0]!.id;
    expect(
      rows()
        .slice(0, 2)
        .map((row) => row.id),
    ).toEqual([`big/${id}`, `big/${id}/1`]);
    await teach('--out', outFile(), '--limit', '3', '--samples', '2', '--temperature', '0.1');
    expect(api.asked).toHaveLength(12);
  });

  it('machines get the summary with every failure; --retry-failed asks again', async () => {
    faults = ['content-filter', 'ok', 'length'];
    const { code, out } = await teach('--out', outFile(), '--json');
    expect(code).toBe(0);
    const summary = jsonLines(out).at(-1)!;
    expect(summary).toMatchObject({
      type: 'teach',
      reason: 'finished',
      n: 10,
      notAsked: 0,
      model: 'big',
      models: ['big'],
    });
    expect((summary['failures'] as { reason: string }[]).map(({ reason }) => reason).sort()).toEqual([
      'content-filter',
      'cut-off',
    ]);
    expect(jsonLines(out).some(({ type }) => type === 'teach-progress')).toBe(true);
    await teach('--out', outFile());
    expect(api.asked).toHaveLength(12);
    const again = await teach('--out', outFile(), '--retry-failed');
    expect(api.asked).toHaveLength(14);
    expect(again.out).not.toContain('failed');
    expect(rows()).toHaveLength(12);
  });

  it('--estimate sends and writes nothing; a budget ends it, and a higher one goes on', async () => {
    const estimate = await teach('--estimate', '--price-in', '1', '--price-out', '10', '--json');
    expect(jsonLines(estimate.out)[0]).toMatchObject({
      type: 'teach-estimate',
      toSend: 12,
      requests: 12,
      basis: 'guessed',
    });
    expect([api.asked.length, readdirSync(folder)]).toEqual([0, []]);
    const short = await teach('--out', outFile(), '--budget-tokens', '1100');
    expect(short.code).toBe(1);
    expect(short.out).toContain('budget');
    expect(api.charged).toBeLessThanOrEqual(1100);
    expect(rows().length).toBeGreaterThan(0);
    expect(rows().length).toBeLessThan(12);
    expect((await teach('--out', outFile(), '--budget-tokens', '100000')).code).toBe(0);
    expect(rows()).toHaveLength(12);
    expect(api.asked).toHaveLength(12);
  });

  it.each(['401', '404', 'redirect'] as Fault[])(
    '%s ends it with what to do, and the key is in no message',
    async (fault) => {
      faults = Array.from({ length: 12 }, () => fault);
      const human = await teach('--out', outFile());
      expect(human.code).toBe(1);
      expect(human.out).toContain('ended early');
      expect(existsSync(outFile())).toBe(false);
      const machine = await teach('--out', outFile(), '--json');
      expect(jsonLines(machine.out).at(-1)).toMatchObject({ type: 'teach', reason: 'refused', n: 0 });
      expectNoKey(human.out, human.err, machine.out, machine.err);
    },
  );

  it('a server that is off: what to check', async () => {
    await server.close();
    const { code, out, err } = await teach('--out', outFile(), '--limit', '1', '--timeout', '5');
    expect(code).toBe(1);
    expect(out).toContain('network');
    expectNoKey(out, err);
  });

  it('refuses what cannot be meant, before anything is sent', async () => {
    const refused = async (expected: string, ...flags: string[]): Promise<void> => {
      const { code, out, err } = await teach(...flags);
      expect([code === 0, err]).toEqual([false, expect.stringContaining(expected)]);
      expectNoKey(out, err);
    };
    writeFileSync(join(folder, 'mine.json'), '{"my": "data"}\n');
    await refused('--out', '--limit', '1');
    await refused('holds something else', '--out', join(folder, 'mine.json'));
    await refused('another file than --out', '--out', outFile(), '--cache', outFile());
    await refused('first line is of something else', '--out', outFile(), '--cache', join(folder, 'mine.json'));
    await refused('both or neither', '--out', outFile(), '--price-in', '1');
    await refused('--price-in and --price-out', '--out', outFile(), '--budget', '1');
    await refused('does not exist', '--out', outFile(), '--files', join(folder, 'none.jsonl'));
    await refused('NO_SUCH_KEY', '--out', outFile(), '--key-env', 'NO_SUCH_KEY');
    await refused(
      'without a name, password',
      '--out',
      outFile(),
      '--base-url',
      `http://user:${encodeURIComponent(KEY)}@localhost/v1`,
    );
    await refused('unknown option', '--out', outFile(), '--key', KEY.slice(0, 7));
    process.env['TEST_TEACHER_KEY'] = `${KEY}\u00e9`;
    await refused('printable ASCII', '--out', outFile());
    expect(readFileSync(join(folder, 'mine.json'), 'utf8')).toBe('{"my": "data"}\n');
    expect(api.asked).toHaveLength(0);
  });

  it('never replaces the demonstrations of another teacher', async () => {
    await teach('--out', outFile(), '--limit', '1');
    const { code, err } = await teach('--out', outFile(), '--limit', '1', '--label', 'other');
    expect([code, api.asked.length]).toEqual([2, 1]);
    expect(err).toContain('by big');
  });
});

describe('askSecret', () => {
  it('reads up to Enter without an echo, and honours backspace and Ctrl-C', async () => {
    const ask = (...chunks: string[]): { answer: Promise<string>; shown: Kept } => {
      const shown = new Kept();
      let listen: (chunk: Buffer) => void = () => undefined;
      const input = {
        setRawMode: () => input,
        resume: () => input,
        pause: () => input,
        on: (_: string, listener: typeof listen) => {
          listen = listener;
          return input;
        },
        off: () => input,
      };
      const answer = askSecret('Key: ', input as never, shown);
      for (const chunk of chunks) listen(Buffer.from(chunk));
      return { answer, shown };
    };
    const { answer, shown } = ask('sk-1', '23x\u007f', '4\r');
    expect(await answer).toBe('sk-1234');
    expect(shown.text).toBe('Key: \n');
    await expect(ask('sk\u0003').answer).rejects.toMatchObject({ code: 'cancelled' });
  });
});

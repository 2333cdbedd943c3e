// verbsJudge.test.ts: `pupil judge` from the command line to files, against the fake API over HTTP and predictions as runs leave
// them: ratings and table, what has none, resumed, estimated, bounded, refused, and the key in none of it.
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { main } from '../../src/cli/program';
import type { JudgedRating, JudgeTable } from '../../src/session/protocol';
import { FakeApi, type Fault } from '../support/fakeApi';
import { startFakeServer, type FakeServer } from '../support/fakeServer';
import { expectKeyNowhere } from '../support/keySearch';
import { jsonLines, Kept } from './fakeSession';

const KEY = 'sk-test-ABCDEFGH/ijkl+0123456789';

/** `answer of SYSTEM to ITEM`: what a judge sees last in its prompt. */
const row = (system: string, prompt: 'plain' | 'cot', taskId: string, n: number, more: object = {}) => ({
  system,
  taskId,
  prompt,
  question: `Answer.\nQuestion: ${taskId} number ${n}?\nAnswer:`,
  itemId: `${taskId}-${n}`,
  text: `answer of ${system} ${prompt} to ${taskId}-${n}`,
  stopped: 'eos',
  target: 'B',
  correct: { strict: true },
  ...more,
});

const ROWS = ['C', 'D'].flatMap((taskId) =>
  [0, 1, 2, 3].flatMap((n) => [
    row('Baseline', 'plain', taskId, n),
    row('Baseline', 'cot', taskId, n),
    row('Self-refined', 'plain', taskId, n),
    row('Self-refined', 'cot', taskId, n),
  ]),
);

let folder: string;
let server: FakeServer;
let api: FakeApi;
let faults: Fault[];
/** The judge's text by the answer that it is shown; absent: a rating of 3 for the self-refined, else of 1. */
let said: Map<string, string>;

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'pupil-judge-'));
  mkdirSync(join(folder, 'run-a'));
  writeFileSync(join(folder, 'run-a', 'predictions.jsonl'), ROWS.map((one) => `${JSON.stringify(one)}\n`).join(''));
  faults = [];
  said = new Map();
  api = new FakeApi({
    fault: () => faults.shift() ?? 'ok',
    now: () => Date.now(),
    longMs: 1e9,
    idOf: (prompt) => prompt.split('\n').at(-1)!,
    answerTo: (answer) => said.get(answer) ?? `Fair enough. Rating: [[${answer.includes('Self-refined') ? 3 : 1}]]`,
    echo: (headers) => ` (${headers.get('authorization')})`,
  });
  server = await startFakeServer(api, 20);
  process.env['TEST_JUDGE_KEY'] = KEY;
});
afterEach(async () => {
  await server.close();
  rmSync(folder, { recursive: true, force: true });
  delete process.env['TEST_JUDGE_KEY'];
});

const outFile = (): string => join(folder, 'out', 'ratings.jsonl');
const ratings = (): JudgedRating[] => jsonLines(readFileSync(outFile(), 'utf8')) as unknown as JudgedRating[];
const table = (): JudgeTable => JSON.parse(readFileSync(join(folder, 'out', 'judge.json'), 'utf8')) as JudgeTable;
const none = { 'no rating': 0, 'not on the scale': 0, 'several ratings': 0 };

async function judge(...flags: string[]): Promise<{ code: number; out: string; err: string }> {
  const [out, err] = [new Kept(), new Kept()];
  const standard = ['--base-url', server.base, '--model', 'big', '--concurrency', '2', '--key-env', 'TEST_JUDGE_KEY'];
  const code = await main(['judge', join(folder, 'run-a'), ...standard, ...flags], {}, { out, err });
  expectKeyNowhere(KEY, folder, out.text, err.text);
  return { code, out: out.text, err: err.text };
}

describe('pupil judge', () => {
  it('rates what Table 14 has: the untouched student with both prompts, tuned ones with CoT', async () => {
    const { code, out, err } = await judge('--out', outFile());
    expect([code, api.asked.length]).toEqual([0, 24]);
    expect(err).toContain('24 requests to send');
    expect(server.headers.every(({ authorization }) => authorization === `Bearer ${KEY}`)).toBe(true);
    expect(ratings()).toHaveLength(24);
    expect(ratings()[0]).toMatchObject({
      run: 'run-a',
      system: 'Baseline',
      prompt: 'plain',
      taskId: 'C',
      itemId: 'C-0',
      target: 'B',
      answer: 'answer of Baseline plain to C-0',
      judge: 'big',
      rating: 1,
      reply: expect.stringContaining('Fair enough. Rating: [[1]]') as string,
    });
    const { rows, tasks, judge: judgeName, models } = table();
    expect([tasks, judgeName, models]).toEqual([['C', 'D'], 'big', ['big']]);
    expect(rows.map(({ system, all }) => [system, all.n, all.mean])).toEqual([
      ['Baseline', 8, 1],
      ['Baseline CoT', 8, 1],
      ['Self-refined', 8, 3],
    ]);
    expect(rows[2]!.tasks['D']).toEqual({
      n: 4,
      mean: 3,
      sd: 0,
      interval: { low: 3, high: 3 },
      counts: { 1: 0, 2: 0, 3: 4 },
      unparsable: none,
      missing: 0,
    });
    expect(out).toMatch(/^Self-refined +3\.00 \(3\.00 – 3\.00\) n 4 +3\.00 \(3\.00 – 3\.00\) n 4 +3\.00 .* n 8$/m);
  });

  it('replies without a rating are counted by reason, and in no average', async () => {
    said.set('answer of Self-refined cot to C-0', 'I would rather not.');
    said.set('answer of Self-refined cot to C-1', 'Rating: [[7]]');
    said.set('answer of Self-refined cot to C-2', 'The format is [[2]]. Rating: [[3]]');
    const { code, out } = await judge('--out', outFile(), '--systems', 'Self-refined');
    expect(code).toBe(0);
    expect(table().rows[0]!.tasks['C']).toEqual({
      n: 1,
      mean: 3,
      counts: { 1: 0, 2: 0, 3: 1 },
      unparsable: { 'no rating': 1, 'not on the scale': 1, 'several ratings': 1 },
      missing: 0,
    });
    expect(ratings().map(({ rating, unparsable }) => rating ?? unparsable)).toEqual([
      'no rating',
      'not on the scale',
      'several ratings',
      3,
      3,
      3,
      3,
      3,
    ]);
    expect(out).toContain('n 1, 3 unparsable');
    expect(out).toContain('3 of 8 replies without a rating');
  });

  it('failures are listed with their reason and count as missing; --retry-failed asks again', async () => {
    faults = ['content-filter', 'ok', 'length'];
    const flags = ['--out', outFile(), '--systems', 'Self-refined', '--json'];
    const { code, out } = await judge(...flags);
    expect([code, api.asked.length]).toEqual([0, 8]);
    const summary = jsonLines(out).at(-1)!;
    expect(summary).toMatchObject({ type: 'judge', reason: 'finished', n: 8, notAsked: 0 });
    expect((summary['failures'] as { reason: string }[]).map(({ reason }) => reason).sort()).toEqual([
      'content-filter',
      'cut-off',
    ]);
    expect((summary['table'] as JudgeTable).rows[0]!.all).toMatchObject({ n: 6, missing: 2 });
    const missing = ratings().flatMap((one) => one.missing ?? []);
    expect(missing.map((text) => text.split(':')[0]).sort()).toEqual(['content-filter', 'cut-off']);
    expect((await judge(...flags)).code).toBe(0);
    expect(api.asked).toHaveLength(8);
    await judge(...flags, '--retry-failed');
    expect(api.asked).toHaveLength(10);
    expect(ratings().every(({ rating }) => rating === 3)).toBe(true);
  });

  it('a budget ends it, a higher one goes on, and nothing is asked twice; --plan sends and writes nothing', async () => {
    const plan = await judge('--plan', '--price-in', '10', '--price-out', '30', '--json');
    expect(jsonLines(plan.out)).toMatchObject([{ type: 'judge-estimate', toSend: 24, requests: 24, basis: 'guessed' }]);
    expect(Number(jsonLines(plan.out)[0]!['worstCost'])).toBeGreaterThan(24 * 512 * 30e-6);
    expect((await judge('--estimate')).out).toContain('24 to rate, 24 answers; 24 requests to send');
    expect([api.asked.length, readdirSync(folder)]).toEqual([0, ['run-a']]);
    const short = await judge('--out', outFile(), '--budget-tokens', '4000');
    expect([short.code, short.out]).toEqual([1, expect.stringContaining('budget')]);
    expect(api.charged).toBeLessThanOrEqual(4000);
    const before = ratings().filter(({ rating }) => rating !== undefined).length;
    expect(before).toBeGreaterThan(0);
    expect(ratings().filter(({ missing }) => missing === 'not asked')).toHaveLength(24 - before);
    expect((await judge('--out', outFile(), '--budget-tokens', '1000000')).code).toBe(0);
    expect(ratings().filter(({ rating }) => rating !== undefined)).toHaveLength(24);
    expect(new Set(api.asked.map(({ id }) => id)).size).toBe(24);
    expect(api.asked).toHaveLength(24);
  });

  it('a choice of questions is the same for all systems, follows the seed, and grows with the limit', async () => {
    const chosen = async (...flags: string[]): Promise<string[]> => {
      expect((await judge('--out', outFile(), ...flags)).code).toBe(0);
      const bySystem = table().rows.map(({ system }) =>
        ratings()
          .filter((one) => one.system === system)
          .map(({ itemId }) => itemId),
      );
      for (const ids of bySystem) expect(ids).toEqual(bySystem[0]);
      return bySystem[0]!;
    };
    const two = await chosen('--limit', '2');
    expect(two).toHaveLength(4);
    expect(await chosen('--limit', '3')).toEqual(expect.arrayContaining(two));
    const others = await Promise.resolve(['1', '2', '3', '4']).then(async (seeds) => {
      const out: string[] = [];
      for (const seed of seeds) out.push((await chosen('--limit', '2', '--seed', seed)).join());
      return out;
    });
    expect(new Set([two.join(), ...others]).size).toBeGreaterThan(1);
    expect(await chosen('--tasks', 'D', '--systems', 'Baseline CoT', 'Self-refined, plain prompt')).toHaveLength(4);
    expect(table().rows.map(({ system }) => system)).toEqual(['Baseline CoT', 'Self-refined, plain prompt']);
  });

  it('several runs are rows of their own, targets too, and equal answers share a request', async () => {
    mkdirSync(join(folder, 'run-b'));
    const rows = [0, 1].map((n) => row('Self-refined', 'cot', 'C', n));
    const voted = { ...row('Self-refined', 'cot', 'C', 0), texts: ['a', 'b'] };
    writeFileSync(
      join(folder, 'run-b', 'predictions.jsonl'),
      [...rows, voted].map((one) => `${JSON.stringify(one)}\n`).join(''),
    );
    const { code, out, err } = await judge(
      ...[join(folder, 'run-b'), '--out', outFile(), '--systems', 'Self-refined', '--tasks', 'C', '--targets'],
    );
    expect(code).toBe(0);
    expect(err).toContain('1 lines of self-consistency');
    expect(table().rows.map(({ run, system, all }) => [run, system, all.n, all.mean])).toEqual([
      ['run-a', 'Self-refined', 4, 3],
      ['run-b', 'Self-refined', 2, 3],
      ['run-a', 'Target answers', 4, 1],
      ['run-b', 'Target answers', 2, 1],
    ]);
    expect(out).toContain('run-b: Target answers');
    expect(api.asked).toHaveLength(8);
  });

  it.each(['401', '404', 'redirect'] as Fault[])(
    '%s ends it with what to do, and leaves what there was',
    async (fault) => {
      await judge('--out', outFile(), '--limit', '1');
      const before = readFileSync(outFile(), 'utf8');
      faults = Array.from({ length: 24 }, () => fault);
      rmSync(join(folder, 'out', 'ratings.cache.jsonl'));
      const { code, out } = await judge('--out', outFile(), '--limit', '1');
      expect([code, out]).toEqual([1, expect.stringContaining('ended early')]);
      expect(readFileSync(outFile(), 'utf8')).toBe(before);
    },
  );

  it('refuses what cannot be meant, before anything is sent', async () => {
    const refused = async (expected: string, ...flags: string[]): Promise<void> => {
      const { code, err } = await judge(...flags);
      expect([code === 0, err]).toEqual([false, expect.stringContaining(expected)]);
    };
    const out = ['--out', outFile()];
    await refused('--out');
    await refused('systems: expected "Baseline", "Baseline CoT"', ...out, '--systems', 'Refined');
    await refused('tasks: expected "C", "D"', ...out, '--tasks', 'E');
    await refused('does not exist', join(folder, 'none'), ...out);
    await refused('where the table goes', '--out', join(folder, 'judge.json'));
    await refused('another file than --out', ...out, '--cache', outFile());
    await refused('Pupil never changes what it reads', '--out', join(folder, 'run-a', 'predictions.jsonl'));
    await refused('both or neither', ...out, '--price-in', '1');
    await refused('NO_SUCH_KEY', ...out, '--key-env', 'NO_SUCH_KEY');
    await refused('a name of its own for every run', join(folder, 'run-a'), ...out);
    mkdirSync(join(folder, 'mine'));
    writeFileSync(join(folder, 'mine', 'judge.json'), '{"my": "data"}\n');
    await refused('holds something else', '--out', join(folder, 'mine', 'ratings.jsonl'));
    const [first] = ROWS;
    for (const [line, expected] of [
      ['{"system": "Baseline"', 'predictions.jsonl:2: not JSON'],
      [
        JSON.stringify({ ...first, text: 3 }),
        'predictions.jsonl:2: expected a line of predictions.jsonl or demonstrations.jsonl, text',
      ],
      [JSON.stringify({ ...first, question: undefined }), 'the question beside its answer'],
      [JSON.stringify(first), 'occurs twice'],
    ] as const) {
      writeFileSync(join(folder, 'run-a', 'predictions.jsonl'), `${JSON.stringify(first)}\n${line}\n`);
      await refused(expected, ...out);
    }
    expect(readFileSync(join(folder, 'mine', 'judge.json'), 'utf8')).toBe('{"my": "data"}\n');
    expect([api.asked.length, existsSync(outFile())]).toEqual([0, false]);
  });

  it('never replaces the ratings of another judge', async () => {
    await judge('--out', outFile(), '--limit', '1');
    const asked = api.asked.length;
    const { code, err } = await judge('--out', outFile(), '--limit', '1', '--label', 'other');
    expect([code, api.asked.length]).toEqual([2, asked]);
    expect(err).toContain('ratings by big');
  });
});

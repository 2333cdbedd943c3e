// resultsCompare.test.ts: Results' paired comparison and judge, mounted over a session that the test controls: the comparison is
// the real one (report/paired.ts) of made-up answers; the judge is estimated, asked and stopped.
import { flushSync } from 'svelte';
import { afterEach, expect, it } from 'vitest';
import { PupilError } from '../../src/base/errors';
import type {
  ComparedSide,
  JudgeRunsRequest,
  JudgeSummary,
  PairedResult,
  PaperAnswer,
  RunDetails,
  StoredRun,
  SystemName,
  TeachEstimate,
  TeachEvent,
} from '../../src/session/protocol';
import ResultsPlace from '../../src/app/places/ResultsPlace.svelte';
import { resultsChoice } from '../../src/app/results/choice.svelte';
import type { AnswerRow } from '../../src/report/answers';
import { comparePaired } from '../../src/report/paired';
import { paperResults } from '../../src/report/paperResults';
import { button, FakeSession, removePages, settle, show } from './fakePage';

afterEach(removePages);

const HOSTILE = '<img src=x onerror="globalThis.hacked=1">\u202eevil';
const run = (runId: string, name: string, updatedAt: string): StoredRun => ({
  runId,
  name,
  state: 'finished',
  phase: 'report',
  step: 0,
  updatedAt,
  sizeBytes: 1,
});

/** Of 100 questions of each task: the refined student gets 31 right that the untouched did not, which gets 4 that it did not. */
const answersOf = (taskId: string, system: SystemName): AnswerRow[] =>
  Array.from({ length: 100 }, (_, i) => ({
    system,
    taskId,
    prompt: 'cot',
    itemId: `q${i}`,
    target: 'A',
    question: `${taskId} ${i}`,
    correct: { strict: system === 'Baseline' ? i < 24 : (i >= 4 && i < 24) || (i >= 50 && i < 81) },
  }));
const SYSTEMS: readonly SystemName[] = ['Baseline', 'Self-refined'];

class ComparedSession extends FakeSession {
  compared: [ComparedSide, ComparedSide][] = [];
  fail: string | undefined;
  tasks: Record<string, string[]> = { a: ['one', 'two'], b: ['one'] };
  override runDetails = (runId: string): Promise<RunDetails> =>
    Promise.resolve({
      runId,
      evaluations: this.tasks[runId]!.flatMap((taskId) =>
        SYSTEMS.map((system) => ({
          system,
          taskId,
          prompt: 'cot',
          scorer: 'strict',
          correct: 1,
          n: 100,
          low: 0,
          high: 1,
        })),
      ),
    } as unknown as RunDetails);
  comparePaired = (first: ComparedSide, second: ComparedSide): Promise<PairedResult> => {
    this.compared.push([first, second]);
    if (this.fail === first.taskId)
      return Promise.reject(new PupilError('data', `compare: ${HOSTILE}`, 'Run it again.'));
    const side = (row: ComparedSide) => ({ row, answers: answersOf(row.taskId, row.system) });
    return Promise.resolve(comparePaired(side(first), side(second)));
  };

  asked: JudgeRunsRequest[] = [];
  tell: (event: TeachEvent) => void = () => undefined;
  end: (summary: Partial<JudgeSummary>) => void = () => undefined;
  paperResults = (): Promise<PaperAnswer> => Promise.resolve({ ...paperResults([]), runs: [], left: [] });
  estimateJudgingRuns = (request: JudgeRunsRequest): Promise<TeachEstimate> => {
    this.asked.push(request);
    return Promise.resolve({
      items: 100,
      toSend: 90,
      cached: 10,
      cachedFailures: 0,
      likely: { prompt: 9000, completion: 900 },
      worst: { prompt: 9000, completion: 9000 },
      likelySeconds: 30,
      basis: 'guessed',
      model: 'big',
      baseUrl: '',
      warnings: [],
    } as unknown as TeachEstimate);
  };
  judgeRuns = (request: JudgeRunsRequest, onEvent: (event: TeachEvent) => void): Promise<JudgeSummary> => {
    this.asked.push(request);
    this.tell = onEvent;
    return new Promise((resolve) => {
      this.end = (summary) => resolve({ failures: [], notAsked: 0, answered: 0, ...summary } as JudgeSummary);
    });
  };
  override stop = (): Promise<void> => {
    this.calls.push('stop');
    this.end({ reason: 'stopped', notAsked: 60, answered: 40, label: 'big' } as Partial<JudgeSummary>);
    return Promise.resolve();
  };
}

async function page(query = '', session = new ComparedSession()) {
  session.stored = [run('a', HOSTILE, '2026-01-03T00:00:00Z'), run('b', 'Second', '2026-01-02T00:00:00Z')];
  const shown = show(session, query, {}, ResultsPlace);
  await shown.playground.open();
  await settle();
  await settle();
  const panel = (title: string): HTMLElement => shown.root.querySelector(`[aria-labelledby="${title}"]`)!;
  return { ...shown, session, compare: panel('compare-title'), judge: panel('judge-title') };
}

const rowsOf = (panel: HTMLElement): string[] =>
  [...panel.querySelectorAll('tbody tr')].map((row) =>
    [...row.children].map((cell) => cell.textContent!.replace(/\s+/g, ' ').trim()).join(' | '),
  );
function choose(select: Element, value: string): void {
  (select as HTMLSelectElement).value = value;
  select.dispatchEvent(new Event('change', { bubbles: true }));
  flushSync();
}

it('compares the untouched and the refined student of the newest run by task and in all, with links to the questions', async () => {
  const { compare, root } = await page('?place=results');
  expect(rowsOf(compare)).toEqual([
    'one | 100 | 24.0 | 51.0 | 4 | 31 | +27.0 | 16.1 – 36.9 | < 0.001',
    'two | 100 | 24.0 | 51.0 | 4 | 31 | +27.0 | 16.1 – 36.9 | < 0.001',
    expect.stringMatching(/^all tasks \| 200 \| 24\.0 \| 51\.0 \| 8 \| 62 \| \+27\.0 \| .+ \| < 0\.001$/),
  ]);
  expect(compare.innerText).toContain(
    'Of 200 questions B got 62 right that A did not, and A got 8 right that B did not. Such a difference is hardly chance',
  );
  expect(compare.querySelector('[role="img"]')!.getAttribute('aria-label')).toBe(
    'Of 200 questions: 40 both right, 62 only B right, 8 only A right, 90 both wrong',
  );
  const link = new URL([...compare.querySelectorAll('td a')].at(1)!.getAttribute('href')!);
  expect(Object.fromEntries(link.searchParams)).toEqual({
    place: 'inside',
    view: 'generations',
    run: 'a',
    compare: 'Baseline.cot~Self-refined.cot',
    filter: 'gained',
    metric: 'strict',
    task: 'one',
  });
  expect(compare.innerText).toContain('<img src=x');
  expect(root.querySelector('img')).toBeNull();
});

it('keeps the choice in the address, compares two runs on their common task, swaps, and says that A and B are the same', async () => {
  const { compare, playground, session } = await page('?place=results&run=a,b');
  const [runA, wayA, runB, wayB] = compare.querySelectorAll('select');
  expect([runA!.value, wayA!.value, runB!.value, wayB!.value]).toEqual([
    'a',
    'Self-refined.cot.strict',
    'b',
    'Self-refined.cot.strict',
  ]);
  // Alike in everything: nothing sets the two apart, and that is said.
  expect(compare.innerText).toContain('No question tells the two apart');
  expect(compare.querySelector('td a')).toBeNull();
  choose(wayA!, 'Baseline.cot.strict');
  await settle();
  expect(playground.address.get('compare')).toBe('a:Baseline.cot.strict~b:Self-refined.cot.strict');
  expect(session.compared.at(-1)!.map(({ runId, system, taskId }) => [runId, system, taskId])).toEqual([
    ['a', 'Baseline', 'one'],
    ['b', 'Self-refined', 'one'],
  ]);
  button(compare, 'Swap A and B').click();
  await settle();
  expect(rowsOf(compare)).toEqual([expect.stringContaining('| 31 | 4 | −27.0 |')]);
  choose(runA!, 'a');
  choose(wayA!, 'Baseline.cot.strict');
  await settle();
  expect(compare.innerText).toContain('A and B are the same');
  expect(rowsOf(compare)).toEqual([]);
});

it('says in place which run this browser does not have, and takes another place’s or a made-up address for none', async () => {
  const absent = await page('?place=results&compare=gone-1:Baseline.cot.strict~a:Self-refined.cot.strict');
  expect(absent.compare.innerText).toContain('This browser does not have gone-1');
  expect(absent.session.compared).toEqual([]);
  choose(absent.compare.querySelector('select')!, 'b');
  await settle();
  expect(rowsOf(absent.compare)).toHaveLength(1);
  removePages();
  const other = await page('?place=results&compare=' + encodeURIComponent(`Baseline.cot~${HOSTILE}:x`));
  expect(rowsOf(other.compare)).toHaveLength(3);
});

it('shows a task that cannot be compared with its reason, and the others all the same', async () => {
  const session = new ComparedSession();
  session.fail = 'two';
  const { compare, root } = await page('?place=results', session);
  expect(rowsOf(compare)).toHaveLength(1);
  expect(compare.querySelector('[role="alert"]')!.textContent).toMatch(
    /two cannot be compared.*<img src=x.*Run it again/s,
  );
  expect(root.querySelector('img')).toBeNull();
});

it('asks a judge about chosen runs: estimate, progress, stop, ratings; the key is kept nowhere', async () => {
  const { judge, session, playground } = await page('?place=results');
  expect(button(judge, 'Start judging').disabled).toBe(true);
  expect(judge.innerText).toContain('Choose at least one run');
  judge.querySelector<HTMLInputElement>('.runs input')!.click();
  await settle();
  expect(playground.address.get('run')).toBe('a');
  button(judge, 'Estimate judging').click();
  await settle();
  expect(judge.querySelector('[role="alert"]')!.textContent).toContain('expected the name of a model');
  expect(session.asked).toEqual([]);
  const type = (label: string, text: string): void => {
    const input = [...judge.querySelectorAll('label')]
      .find((one) => one.innerText.startsWith(label))!
      .querySelector('input')!;
    input.value = text;
    input.dispatchEvent(new Event('input', { bubbles: true }));
    input.dispatchEvent(new Event('change', { bubbles: true }));
    flushSync();
  };
  type('Model', 'big');
  type('Key', 'secret-key');
  button(judge, 'Estimate judging').click();
  await settle();
  expect(judge.innerText).toContain('90 to send for 100 answers');
  button(judge, 'Start judging').click();
  await settle();
  expect(session.asked.at(-1)).toMatchObject({ runs: ['a'], model: 'big', key: 'secret-key', limit: 50 });
  expect(playground.busy).toBe(true);
  session.tell({
    type: 'teach-progress',
    done: 40,
    total: 100,
    failed: 0,
    running: 1,
    limit: 1,
    spent: { prompt: 1, completion: 2 },
    judged: 0,
    correct: 0,
    secondsLeft: 12,
  } as unknown as TeachEvent);
  await settle();
  expect(judge.innerText).toContain('40 of 100 answers, 0 failed, about 12 s left');
  button(judge, 'Stop judging').click();
  await settle();
  expect(session.calls).toContain('stop');
  expect(judge.innerText).toContain('60 are not asked yet');
  expect(playground.busy).toBe(false);
  expect(resultsChoice(playground).rated).toBe(1); // the paper's tables, which show ratings, are read again
  expect(judge.querySelector('img')).toBeNull();
  expect(
    JSON.stringify(
      ['pupil-judge', 'pupil-teacher-key:http://localhost:11434/v1'].map((key) => playground.memory.getItem(key)),
    ),
  ).not.toContain('secret');
});

// resultsPaper.test.ts: the paper's tables and figures as the Results place shows them, of answers made by the real functions
// from the published series: choice of runs, tables behind figures, hostile names, and what is exported.
import { afterEach, expect, it } from 'vitest';
import published from '../../docs/results/lesson-splits.series.json?raw';
import { resultsChoice } from '../../src/app/results/choice.svelte';
import PaperPanel from '../../src/app/results/PaperPanel.svelte';
import { parseCsv } from '../../src/formats/csv';
import type { CollectedRun } from '../../src/report/cells';
import type { JudgedRun } from '../../src/report/judgeRows';
import { paperResults } from '../../src/report/paperResults';
import type { SeriesReport } from '../../src/report/series';
import type { PaperAnswer, PaperRequest } from '../../src/session/protocol';
import { summarizeQuality } from '../../src/teachers/judge';
import { runsOfSeries } from '../support/seriesRuns';
import { button, FakeSession, removePages, settle, show } from './fakePage';

afterEach(removePages);

const HOSTILE = '<img src=x onerror="globalThis.hit=1"> & "x", \u202eabc\u0007 😀';
const runs = runsOfSeries(JSON.parse(published) as SeriesReport, 'splits').filter(
  ({ report }) => report.experiment.seed < 2,
);
/** One run whose task is called as badly as can be. */
const hostile = JSON.parse(
  JSON.stringify(runs.slice(-2)).replaceAll('A stories', JSON.stringify(HOSTILE).slice(1, -1)),
) as CollectedRun[];

class ResultsSession extends FakeSession {
  asked: PaperRequest[] = [];
  judged: JudgedRun[] = [];
  constructor(private readonly all: readonly CollectedRun[]) {
    super();
    this.stored = all.map(({ runId, report }) => ({
      runId,
      name: report.name,
      state: 'finished',
      phase: 'evaluate',
      step: 1,
      updatedAt: '2026-01-02T03:05:05Z',
      sizeBytes: 1,
    })) as FakeSession['stored'];
  }

  paperResults = (request: PaperRequest): Promise<PaperAnswer> => {
    this.asked.push(request);
    const counted = this.all.filter(({ runId }) => request.runs.length === 0 || request.runs.includes(runId));
    const left = request.runs
      .filter((id) => !this.all.some(({ runId }) => runId === id))
      .map((runId) => ({ runId, reason: 'this browser does not have it' }));
    const results = paperResults(counted, this.judged, request);
    const named = counted.map(({ runId, report }) => ({
      runId,
      name: report.name,
      seed: report.experiment.seed,
      label: '',
      rows: [],
    }));
    return Promise.resolve({ ...results, left, runs: named });
  };
}

async function open(session: ResultsSession, query = '') {
  const saved = new Map<string, Uint8Array>();
  const shown = show(session, query, { save: (name, bytes) => void saved.set(name, bytes) }, PaperPanel);
  await shown.playground.open();
  await settle();
  const until = async (is: () => boolean, what: string): Promise<void> => {
    for (let i = 0; i < 250 && !is(); i++) await settle();
    if (!is()) throw new Error(`${what} did not come in:\n${shown.text()}`);
  };
  const file = async (press: string, ending: string): Promise<Uint8Array> => {
    button(shown.root, press).click();
    const found = () => [...saved].find(([name]) => name.endsWith(ending));
    await until(() => found() !== undefined, ending);
    return found()![1];
  };
  return { ...shown, saved, until, file };
}
const part = (root: HTMLElement, title: string): HTMLElement => {
  const heading = [...root.querySelectorAll('h3')].find(({ textContent }) => textContent.startsWith(title));
  if (heading === undefined) throw new Error(`no part "${title}"`);
  return heading.closest('section')!;
};
/** As it is read: markup breaks lines where a page does not. */
const words = (root: HTMLElement): string => root.textContent.replaceAll(/\s+/g, ' ');
const text = (bytes: Uint8Array): string => new TextDecoder().decode(bytes);

it('shows every part in the order of the page, with what is missing, and the published cells', async () => {
  const { root } = await open(new ResultsSession(runs));
  expect([...root.querySelectorAll('h3 > span')].map(({ textContent }) => textContent)).toEqual([
    'Tables 1, 10 and 11',
    '§4',
    'Figures 2 and 3',
    'Figure 4',
    'Figure 5',
    'Table 5',
    'Tables 13 and 14',
  ]);
  expect(words(root)).toContain(`${runs.length} runs, all that have finished · seeds 0, 1`);
  expect(part(root, 'Ratings by a judge').textContent).toContain('No judge has been asked about these runs.');
  expect(part(root, 'Ratings by a judge').querySelector('table')).toBeNull();
  expect(part(root, 'Additional benchmarks').textContent).toContain('No run was trained on MATH or MMLU.');
  const grid = part(root, 'Accuracy by').querySelector('table')!;
  const cells = (runsOf: readonly CollectedRun[]) =>
    paperResults(runsOf).grid.blocks.flatMap(({ rows }) => rows.flatMap(({ cells: own }) => own));
  const means = cells(runs).map((cell) => (cell === null ? '–' : (100 * cell.result.mean).toFixed(1)));
  expect(
    [...grid.querySelectorAll('td')].map((td) => (td.querySelector('strong') ?? td.querySelector('span'))!.textContent),
  ).toEqual(means);
});

it('reads again for chosen runs, and names one that this browser does not have', async () => {
  const session = new ResultsSession(runs);
  const { root, playground } = await open(session);
  expect(session.asked.at(-1)!.runs).toEqual([]);
  const wanted = [runs[0]!.runId, 'gone-1'];
  playground.address.set({ run: wanted.join(',') });
  await settle();
  expect(session.asked.at(-1)!.runs).toEqual(wanted);
  expect(words(root)).toContain('1 run, as chosen above');
  expect(words(root)).toContain('Not counted: gone-1 (this browser does not have it).');
  playground.address.set({ run: 'gone-1' });
  await settle();
  expect(words(root)).toContain('none of the chosen ones can be counted');
  expect(root.querySelectorAll('h3')).toHaveLength(0);
});

it('reads again when a judge has rated runs', async () => {
  const session = new ResultsSession(runs);
  const { playground } = await open(session);
  const before = session.asked.length;
  resultsChoice(playground).rated++;
  await settle();
  expect(session.asked.length).toBe(before + 1);
});

it('shows another prompt where one is picked, and keeps it in the address', async () => {
  const session = new ResultsSession(runs);
  const { root, playground } = await open(session);
  const select = root.querySelector('select')!;
  select.value = 'plain';
  select.dispatchEvent(new Event('change', { bubbles: true }));
  await settle();
  expect(playground.address.get('metric')).toBe('plain/strict');
  expect(session.asked.at(-1)).toMatchObject({ prompt: 'plain', scorer: 'strict' });
  expect(words(root)).toContain('plain prompt, scored by strict');
});

it('draws Figure 4, has its numbers behind it, and exports SVG, PNG at 2× and CSV that stand alone', async () => {
  const { root, until, file } = await open(new ResultsSession(runs));
  const figures = part(root, 'How little data');
  await until(() => figures.querySelector('.box svg path') !== null, 'the plot');
  const title = figures.querySelector('figcaption')!.textContent;
  expect(figures.querySelector('[role="img"]')!.getAttribute('aria-label')).toMatch(
    /Both: 25 % of the demonstrations gives \d/,
  );

  button(figures, `Numbers of ${title}`).click();
  await settle();
  const rows = [...figures.querySelectorAll('figure table')[0]!.querySelectorAll('tr')];
  expect(rows).toHaveLength(1 + 1 + 3 * 4); // head, untouched student, three lines of four shares

  const svg = text(await file(`SVG of ${title}`, '.svg'));
  const document_ = new DOMParser().parseFromString(svg, 'image/svg+xml');
  expect(document_.querySelector('parsererror')).toBeNull();
  expect(document_.querySelector('title')!.textContent).toBe(title);
  expect(document_.querySelectorAll('circle')).toHaveLength(12);
  // The legend's words begin beside their marks: none lies over another.
  const legend = [...figures.querySelectorAll('.box svg > g:first-child > text')].map((one) =>
    one.getBoundingClientRect(),
  );
  expect(legend).toHaveLength(4);
  const marks = [...figures.querySelectorAll('.box svg > g:first-child > line')].map((one) =>
    one.getBoundingClientRect(),
  );
  expect(marks.slice(0, 4).map(({ right }, i) => right < legend[i]!.left)).toEqual([true, true, true, true]);
  expect(svg).not.toMatch(/var\(|currentColor|light-dark|<style|href=|url\(/);

  const bitmap = await createImageBitmap(
    new Blob([(await file(`PNG of ${title}`, '.png')).slice()], { type: 'image/png' }),
  );
  const height = Number(document_.documentElement.getAttribute('height'));
  expect([bitmap.width, bitmap.height]).toEqual([1600, Math.round(2 * height)]);

  const csv = parseCsv(text(await file(`CSV of ${title}`, '.csv')), 'figure.csv');
  expect(csv).toHaveLength(rows.length);
});

it('shows a hostile name as text, everywhere and in every export', async () => {
  const { root, until, file } = await open(new ResultsSession(hostile));
  const figures = part(root, 'Bars by');
  await until(() => figures.querySelector('.box svg rect') !== null, 'the plot');
  expect(root.querySelector('img')).toBeNull();
  expect(root.textContent).toContain(HOSTILE);
  const title = figures.querySelector('figcaption')!.textContent;
  const svg = text(await file(`SVG of ${title}`, '.svg'));
  expect(new DOMParser().parseFromString(svg, 'image/svg+xml').querySelector('parsererror, img, script')).toBeNull();
  const csv = text(await file('CSV of Accuracy by what was trained on', 'table-1.csv'));
  expect(parseCsv(csv, 'table-1.csv').some(({ fields }) => fields.includes(HOSTILE))).toBe(true);
  expect('hit' in globalThis).toBe(false);
});

it('shows ratings where there are some', async () => {
  const session = new ResultsSession(runs);
  const quality = summarizeQuality(['[[3]]', '[[2]]', 'good']);
  session.judged = [
    {
      runId: runs[0]!.runId,
      judge: 'a judge',
      rows: [{ system: 'Baseline', tasks: { 'A stories': quality }, all: quality }],
    },
  ];
  const { root } = await open(session);
  const cells = [...part(root, 'Ratings by a judge').querySelectorAll('tbody td')].map(
    ({ textContent }) => textContent,
  );
  expect(cells).toContain('2.50');
  expect(cells.at(-2)).toBe('1');
});

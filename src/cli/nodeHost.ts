// nodeHost.ts: the session in this process, on Dawn, with its runs on disk. The one file of the command line that knows
// the session itself; `score`, `teach` and `judge`, which need no GPU, go through here as well. A browser never loads it.
import { existsSync, readFileSync, rmSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, parse } from 'node:path';
import { PupilError } from '../base/errors';
import type { Experiment, ScorerName, TaskId } from '../config/experiment';
import type { Series, SeriesCell, SeriesRun } from '../config/series';
import type { JsonObject } from '../formats/jsonText';
import type { AnswerRow } from '../report/answers';
import type { PaperReport } from '../report/paperReport';
import { summariseSeries, type SeriesRunResult } from '../report/series';
import { renderSeries } from '../report/seriesHtml';
import { seriesText } from '../report/seriesText';
import type { RunReport } from '../report/types';
import type { ApiWorkOptions } from '../session/apiWork';
import type { FoundFile } from '../session/gatherRuns';
import type { RunPlan } from '../session/plan';
import type {
  JudgeRequest,
  JudgeSummary,
  PlannedStudent,
  PlanStudentRequest,
  TeachEstimate,
  TeachEvent,
  TeachRequest,
  TeachSummary,
} from '../session/protocol';
import type { FileRoot } from '../sources/fileRoot';
import type { AnswerStore } from '../storage/answerStore';
import type { StudentCache } from '../storage/studentCache';
import { TASKS } from '../tasks/registry';
import { scoreRows, type Score } from '../tasks/score';
import { readScoreRows } from '../tasks/scoreInput';
import { cacheFolder } from '../../scripts/browser.mjs';
import type { Host, HostOptions } from './host';
import { hubFromEnvironment } from './modelFolder';
import type { RunPlaces } from './reportFolders';
import { writeFileAtomically } from './runFolder';

/** A session on Dawn. Which driver it finds is up to the environment (VK_ICD_FILENAMES). */
export async function openNodeHost(options: HostOptions): Promise<Host> {
  // Loaded here, since `score` needs none of it.
  const [{ nodeGpu }, { Session }, { DiskRunStore }, { DiskCachePlace }, { diskPieceStore }] = await Promise.all([
    import('../gpu/node'),
    import('../session/session'),
    import('../storage/disk'),
    import('../storage/cacheDisk'),
    import('../storage/pieceStoreDisk'),
  ]);
  const scratch = options.keepIn === undefined ? await mkdtemp(join(tmpdir(), 'pupil-runs-')) : undefined;
  const store = new DiskRunStore(scratch ?? join(options.keepIn ?? '', '.store'));
  const pieces = diskPieceStore(join(cacheFolder(), 'downloads'));
  const caches = {
    at: (root: FileRoot) => (root.kind === 'disk' ? new DiskCachePlace(root.directory) : undefined),
  };
  const session = new Session(nodeGpu, store, undefined, undefined, undefined, undefined, caches, pieces);
  const atExit = (): void => {
    if (scratch !== undefined) rmSync(scratch, { recursive: true, force: true });
  };
  process.once('exit', atExit); // a signal ends this process without closing anything
  const root = parse(process.cwd()).root;
  return {
    session,
    about: { node: process.version, driver: process.env['VK_ICD_FILENAMES'] ?? 'as the Vulkan loader finds it' },
    reads: () => ({ kind: 'disk', directory: root }),
    writes: () => ({ kind: 'disk', directory: root }),
    folder: (path) => ({ kind: 'disk', directory: path }),
    own: (path) => ({ kind: 'disk', directory: path }),
    close: async () => {
      session.close();
      if (scratch !== undefined) await rm(scratch, { recursive: true, force: true });
      process.off('exit', atExit);
    },
  };
}

/** The packed students in a folder. Needs no GPU. */
export async function cachedStudentsIn(folder: string): Promise<Pick<StudentCache, 'list' | 'verify' | 'delete'>> {
  const [{ StudentCache }, { DiskCachePlace }] = await Promise.all([
    import('../storage/studentCache'),
    import('../storage/cacheDisk'),
  ]);
  return new StudentCache(new DiskCachePlace(folder));
}

export type { RunPlan };

/**
 * Tells what runs would need: read from the student's header, the tokenizer and the data. Needs no GPU. What the experiments
 * have in common is read once, so it is one for each question that somebody asks, not one for a process.
 */
export async function runPlanner(): Promise<(experiment: Experiment) => Promise<RunPlan>> {
  const [{ RunPlanner }, { openDiskRoot }, { RemoteFiles }, { SHAPES }] = await Promise.all([
    import('../session/plan'),
    import('../sources/disk'),
    import('../session/remoteFiles'),
    import('../../scripts/studentShapes.mjs'),
  ]);
  const remote = new RemoteFiles();
  remote.set(hubFromEnvironment(() => undefined) ?? {});
  // Llama-2-7b-hf, Mistral-7B-Instruct-v0.1: the published shape whose name the folder's begins with.
  const shapeOf = (name: string): JsonObject | undefined => {
    const known = Object.keys(SHAPES).find((shape) => name.toLowerCase().startsWith(shape));
    return known === undefined ? undefined : SHAPES[known];
  };
  const planner = new RunPlanner(remote.beside(openDiskRoot(parse(process.cwd()).root)), { shapeOf });
  return (experiment) => planner.plan(experiment);
}

/** What a student in a folder of this machine would need. Needs no GPU. */
export async function planStudentOnDisk(request: Omit<PlanStudentRequest, 'files'>): Promise<PlannedStudent> {
  const [{ planStudentFolder }, { openDiskRoot }, { RemoteFiles }] = await Promise.all([
    import('../session/studentPlan'),
    import('../sources/disk'),
    import('../session/remoteFiles'),
  ]);
  const remote = new RemoteFiles();
  remote.set(hubFromEnvironment(() => undefined) ?? {});
  return planStudentFolder(request, remote.beside(openDiskRoot(parse(process.cwd()).root)));
}

/** The answers kept in a file, as long as the work lasts; without a file, none. */
async function withAnswers<T>(file: string | undefined, work: (answers: AnswerStore) => Promise<T>): Promise<T> {
  if (file === undefined) {
    const { MemoryAnswerStore } = await import('../storage/answerStore');
    return work(new MemoryAnswerStore());
  }
  const { AnswerFile } = await import('../storage/answerFile');
  const answers = await AnswerFile.open(file);
  try {
    return await work(answers);
  } finally {
    await answers.close();
  }
}

/** What asking a teacher would need. Sends nothing. */
export async function estimateTeachingHere(request: TeachRequest, cache: string | undefined): Promise<TeachEstimate> {
  const { estimateForRequest } = await import('../session/teach');
  return withAnswers(cache, (answers) => estimateForRequest(request, { answers }));
}

interface Asking {
  signal: AbortSignal;
  onEvent: (event: TeachEvent) => void;
}

/** Work with a model behind an API, whose answers are kept in the file `cache` as they come. */
async function asking<T>(
  cache: string,
  { signal, onEvent }: Asking,
  work: (options: ApiWorkOptions) => Promise<T>,
): Promise<T> {
  const { RunControl } = await import('../session/control');
  const control = new RunControl();
  signal.addEventListener('abort', () => control.stop(), { once: true });
  return withAnswers(cache, (answers) => work({ answers, control, onEvent }));
}

/** Asks a teacher. */
export async function teachHere(request: TeachRequest, cache: string, options: Asking): Promise<TeachSummary> {
  const { teachForRequest } = await import('../session/teach');
  return asking(cache, options, (work) => teachForRequest(request, work));
}

/** What asking a judge would need. Sends nothing. */
export async function estimateJudgingHere(request: JudgeRequest, cache: string | undefined): Promise<TeachEstimate> {
  const { estimateJudging } = await import('../session/judge');
  return withAnswers(cache, (answers) => estimateJudging(request, answers));
}

/** Asks a judge. */
export async function judgeHere(request: JudgeRequest, cache: string, options: Asking): Promise<JudgeSummary> {
  const { judgeForRequest } = await import('../session/judge');
  return asking(cache, options, (work) => judgeForRequest(request, work));
}

/** A run of a series as its folder tells it. */
function seriesRunIn(folder: string, run: SeriesRun, cell: number): SeriesRunResult {
  const base = { id: run.id, cell, seed: run.seed };
  const file = join(folder, run.id, 'report.json');
  if (!existsSync(file)) return { ...base, state: 'waiting' };
  const report = JSON.parse(readFileSync(file, 'utf8')) as RunReport;
  const { state } = report;
  if (state !== 'finished') return { ...base, state };
  const predictions = join(folder, run.id, 'predictions.jsonl');
  const lines = existsSync(predictions) ? readFileSync(predictions, 'utf8').split('\n') : [];
  const answers = lines.filter((line) => line !== '').map((line) => JSON.parse(line) as AnswerRow);
  return { ...base, state, report, answers };
}

/** Writes series.json and series.html from the folders of a series' runs, as far as they are. */
export function writeSeriesReport(
  folder: string,
  series: Series,
  cells: readonly SeriesCell[],
  runs: readonly SeriesRun[],
): string {
  const report = summariseSeries(
    series,
    cells,
    runs.map((run) =>
      seriesRunIn(
        folder,
        run,
        cells.findIndex(({ id }) => id === run.cell.id),
      ),
    ),
  );
  writeFileAtomically(join(folder, 'series.json'), `${JSON.stringify(report, null, 2)}\n`);
  writeFileAtomically(join(folder, 'series.html'), renderSeries(report));
  return seriesText(report);
}

/** What `pupil report` tells of what it wrote. */
export interface WrittenPaper extends Pick<PaperReport, 'pending' | 'left' | 'again' | 'repeated' | 'grids'> {
  runs: number;
  students: string[];
  /** Within the folder. */
  files: string[];
}

/**
 * The paper's tables and figures from runs of this machine, written into a folder.
 * @throws PupilError `usage` where no run has the scorer or prompt that is asked for, `storage` where it cannot be written
 */
export async function writePaperReport(
  places: RunPlaces,
  out: string,
  view: { prompt?: 'cot' | 'plain'; scorer?: string },
): Promise<WrittenPaper> {
  const [{ gatherRuns }, { paperReport }, { paperFiles }, { openDiskRoot }] = await Promise.all([
    import('../session/gatherRuns'),
    import('../report/paperReport'),
    import('../report/paperFiles'),
    import('../sources/disk'),
  ]);
  const root = openDiskRoot(parse(process.cwd()).root);
  const file = (from: string): FoundFile => ({ from, open: async () => (await root.open(from))! });
  const gathered = await gatherRuns({
    folders: places.folders.map((from) => ({
      from,
      read: async (path) => {
        const found = await root.open(join(from, path));
        return found?.read(0, found.size);
      },
    })),
    zips: places.zips.map(file),
    judges: places.judges.map(file),
    grids: places.grids.map(file),
  });
  const report = paperReport({ ...gathered, left: [...places.unread, ...gathered.left] }, view);
  expectView(report, view);
  const files = paperFiles(report);
  for (const [path, text] of files) await root.write(join(out, path), new TextEncoder().encode(text));
  const { runs, sections, pending, left, again, repeated, grids } = report;
  const students = sections.map(({ student }) => student);
  return { runs: runs.length, students, pending, left, again, repeated, grids, files: [...files.keys()] };
}

/** Silently showing another scorer than the one asked for would be a trap. */
function expectView({ sections }: PaperReport, { prompt, scorer }: { prompt?: string; scorer?: string }): void {
  const expectOne = (flag: string, wanted: string | undefined, there: readonly string[]): void => {
    if (wanted === undefined || sections.length === 0 || there.includes(wanted)) return;
    const known = [...new Set(there)].join(', ');
    throw new PupilError('usage', `${flag}: expected one that the runs have (${known}), got ${wanted}`);
  };
  expectOne(
    '--prompt',
    prompt,
    sections.flatMap(({ results }) => results.prompts),
  );
  expectOne(
    '--scorer',
    scorer,
    sections.flatMap(({ results }) => results.scorers),
  );
}

/**
 * Scores the rows of a JSONL file.
 *
 * @throws PupilError `data` naming every line that cannot be scored: leaving some out would change n silently.
 */
export function scoreFile(path: string, task: TaskId, scorer: ScorerName): Score {
  const { rows, lines, rejected } = readScoreRows({ path, text: readFileSync(path, 'utf8') });
  const problems = rejected.map(({ line, reason }) => ({ line, reason }));
  rows.forEach((row, i) => {
    try {
      scoreRows(TASKS[task].kind, [row], scorer); // finds a target that is no answer of this task
    } catch (error) {
      if (!(error instanceof PupilError)) throw error;
      problems.push({ line: lines[i]!, reason: error.message });
    }
  });
  if (problems.length > 0) {
    problems.sort((a, b) => a.line - b.line);
    const shown = problems.slice(0, 20).map(({ line, reason }) => `${path}:${line}: ${reason}`);
    if (problems.length > shown.length) shown.push(`… and ${problems.length - shown.length} more`);
    throw new PupilError(
      'data',
      `score: expected every line to be a row, ${problems.length} ${problems.length === 1 ? 'is' : 'are'} not:\n${shown.join('\n')}`,
      'Nothing was scored. Correct or remove these lines; a line is {"target", "text", "choices"?}.',
    );
  }
  if (rows.length === 0) throw new PupilError('data', `${path}: expected at least one row, the file has none`);
  return scoreRows(TASKS[task].kind, rows, scorer);
}

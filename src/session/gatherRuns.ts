// gatherRuns.ts: runs in folders and zips of anybody as what report/paperReport.ts lays out: finished runs once each, others with how
// far they got, judges' ratings, planned series. Each file is read and checked by itself: one that is damaged is told and leaves the
// others as they are. Which files there are is the caller's to find; nothing is written.
import * as v from 'valibot';
import { PupilError } from '../base/errors';
import { parseSeries } from '../config/series';
import type { ByteSource } from '../formats/byteSource';
import { parseJsonObject } from '../formats/jsonText';
import { openZip } from '../formats/zipRead';
import { gridProgress, type FoundRun } from '../report/gridProgress';
import type { JudgedRun } from '../report/judgeRows';
import type { Gathered, GatheredRun, PendingRun } from '../report/paperReport';
import type { RunReport } from '../report/types';
import { answersOf, PREDICTIONS } from './answerLines';
import { checkLines, readReport } from './reportSchema';
import { LIMITS } from './runImport';

/** A folder that holds a run, or looks as if it did. */
export interface FoundFolder {
  /** As a person would name it. */
  from: string;
  /** undefined where there is no such file. */
  read(path: string): Promise<Uint8Array | undefined>;
}

/** A file with its bytes still to be read. */
export interface FoundFile {
  from: string;
  open(): Promise<ByteSource>;
}

/** What somebody has found. */
export interface FoundRuns {
  folders: readonly FoundFolder[];
  /** Zips that a page exported, each with one run or several. */
  zips: readonly FoundFile[];
  /** judge.json, wherever they lie. */
  judges: readonly FoundFile[];
  /** grid.json of full runs, series.json of series. */
  grids: readonly FoundFile[];
}

const REPORT = 'report.json';
const RATINGS = 'judge.json';
/** In the folder of a job that ended early, as it should. */
const ENDED = 'ended.json';

/** As long as the reports themselves are read. */
interface Reading extends Gathered {
  /** By the id that a run's own report gives it. */
  known: Map<string, { from: string; bytes: Uint8Array }[]>;
  found: FoundRun[];
  /** What judges may call a run → the id it is counted under. */
  called: Map<string, string[]>;
  pendingIds: { id: string; pending: PendingRun }[];
}

const reasonOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));

/** Reads all of it. Deterministic in its argument's order; never throws for what is in a file. */
export async function gatherRuns(found: FoundRuns): Promise<Gathered> {
  const reading: Reading = {
    runs: [],
    judged: [],
    pending: [],
    again: [],
    left: [],
    grids: [],
    known: new Map(),
    found: [],
    called: new Map(),
    pendingIds: [],
  };
  const judges: { from: string; bytes: Uint8Array }[] = [];
  for (const folder of found.folders) await attempt(reading, folder.from, () => readFolder(reading, folder));
  for (const zip of found.zips)
    await attempt(reading, zip.from, async () => judges.push(...(await readZip(reading, zip))));
  // A run that was copied before it ended is told by the copy that did end.
  for (const { id, pending } of reading.pendingIds) {
    const whole = reading.known.get(id)?.[0];
    if (whole === undefined) reading.pending.push(pending);
    else reading.again.push({ from: pending.from, as: whole.from });
  }
  for (const { from, open } of found.judges) {
    await attempt(reading, from, async () => judges.push({ from, bytes: await wholeOf(await open()) }));
  }
  for (const { from, bytes } of judges) await attempt(reading, from, () => readJudge(reading, from, bytes));
  for (const grid of found.grids) await attempt(reading, grid.from, () => readGrid(reading, grid));
  const { runs, judged, pending, again, left, grids } = reading;
  return { runs, judged, pending, again, left, grids };
}

async function attempt(reading: Reading, from: string, work: () => unknown): Promise<void> {
  try {
    await work();
  } catch (error) {
    const reason = reasonOf(error);
    // Messages begin with the file's name: once is enough.
    reading.left.push({ from, reason: reason.startsWith(`${from}: `) ? reason.slice(from.length + 2) : reason });
  }
}

const wholeOf = async (source: ByteSource): Promise<Uint8Array> => {
  if (source.size > LIMITS.fileBytes) {
    throw new PupilError('data', `expected at most ${LIMITS.fileBytes} bytes, it has ${source.size}`);
  }
  return source.read(0, source.size);
};

/** Every run in an archive; returns its judge.json files, which come after all runs are known. */
async function readZip(reading: Reading, { from, open }: FoundFile): Promise<{ from: string; bytes: Uint8Array }[]> {
  const source = await open();
  const entries = await openZip(
    { ...source, size: source.size, name: from, read: (a, b) => source.read(a, b) },
    LIMITS,
  );
  const byPath = new Map(entries.map((entry) => [entry.path, entry]));
  const folders = entries.flatMap(({ path }) =>
    path === REPORT || path.endsWith(`/${REPORT}`) ? [path.slice(0, -REPORT.length)] : [],
  );
  if (folders.length === 0) throw new PupilError('data', `expected a run, there is no ${REPORT} in it`);
  for (const folder of folders) {
    const inside = `${from}:${folder.replace(/\/$/, '')}`.replace(/:$/, '');
    await attempt(reading, inside, () =>
      readFolder(reading, {
        from: inside,
        read: async (path) => byPath.get(`${folder}${path}`)?.read(),
      }),
    );
  }
  const judges = entries.filter(({ path }) => path === RATINGS || path.endsWith(`/${RATINGS}`));
  return Promise.all(judges.map(async (entry) => ({ from: `${from}:${entry.path}`, bytes: await entry.read() })));
}

async function readFolder(reading: Reading, { from, read }: FoundFolder): Promise<void> {
  if ((await read(ENDED)) !== undefined) return; // of a full run, what other runs share: they have its results
  const bytes = await read(REPORT);
  if (bytes === undefined) {
    const { id, pending } = await unfinished(from, read);
    notePending(reading, id, pending);
    return;
  }
  const report = readReport(bytes, `${from}/${REPORT}`);
  const { seed } = report.experiment;
  if (report.state !== 'finished') {
    const how = [howFar(report), ...(report.error === undefined ? [] : [report.error.message])];
    const error = report.error === undefined && report.state === 'failed' ? lastWarning(report) : [];
    notePending(reading, report.runId, {
      from,
      name: report.name,
      seed,
      state: report.state,
      how: [...how, ...error].join('; '),
    });
    return;
  }
  const copies = reading.known.get(report.runId) ?? [];
  const same = copies.find((copy) => equal(copy.bytes, bytes));
  if (same !== undefined) {
    reading.again.push({ from, as: same.from });
    return;
  }
  if (!isWhole(report)) {
    reading.left.push({
      from,
      reason: `it ends after ${lastPhase(report)}: a part that other runs share, no run of its own`,
    });
    return;
  }
  reading.known.set(report.runId, [...copies, { from, bytes }]);
  const runId = copies.length === 0 ? report.runId : `${report.runId}-${copies.length + 1}`;
  const run: GatheredRun = { runId, from, report, answers: await answersIn(reading, from, read, report) };
  reading.runs.push(run);
  reading.found.push({ name: report.name, seed, state: 'finished', how: '' });
  for (const name of new Set([report.runId, baseName(from), `${from}/${PREDICTIONS}`])) {
    reading.called.set(name, [...(reading.called.get(name) ?? []), runId]);
  }
}

function notePending(reading: Reading, id: string, pending: PendingRun): void {
  reading.pendingIds.push({ id, pending });
  const { name, seed = 0, state, how } = pending;
  reading.found.push({ name, seed, state, how });
}

/** Single answers; without them accuracies stand, and have no intervals. */
async function answersIn(
  reading: Reading,
  from: string,
  read: FoundFolder['read'],
  report: RunReport,
): Promise<GatheredRun['answers']> {
  const file = `${from}/${PREDICTIONS}`;
  try {
    const bytes = await read(PREDICTIONS);
    if (bytes === undefined) {
      if (report.evaluations.length === 0) return [];
      throw new PupilError('data', 'it is not there');
    }
    checkLines(bytes, PREDICTIONS, file);
    return answersOf(new TextDecoder().decode(bytes));
  } catch (error) {
    const reason = reasonOf(error).replace(`${file}:`, 'line ');
    reading.left.push({
      from: file,
      reason: `${reason}: its run is counted without single answers, so without intervals`,
    });
    return [];
  }
}

/** A run that trains has evaluated what it trained. */
function isWhole({ experiment: { phases }, evaluations, timings }: RunReport): boolean {
  const trains = phases.instruct !== false || phases.selfRefine !== false;
  const tested = evaluations.some(({ system }) => system !== 'Baseline');
  return !trains || tested || timings.some(({ phase }) => phase === 'evaluate');
}

const lastPhase = ({ timings }: RunReport): string => timings.at(-1)?.phase ?? 'loading';

/** `self-refine, step 12 of 100` */
function howFar(report: RunReport): string {
  const phase = lastPhase(report);
  const row = report.curves.findLast((one) => one.phase === phase);
  return row === undefined ? phase : `${phase}, step ${row.step} of ${row.totalSteps}`;
}

/** Reports of earlier versions do not say what ended them. */
const lastWarning = ({ log }: RunReport): string[] => {
  const last = log.findLast(({ level }) => level === 'warning');
  return last === undefined ? [] : [`last warning: ${last.message}`];
};

const RecordSchema = v.looseObject({ runId: v.string(), name: v.string() });
const StateSchema = v.looseObject({ phase: v.string(), step: v.number(), updatedAt: v.string() });
const ExperimentSchema = v.looseObject({ name: v.string(), seed: v.number() });
const MetricsSchema = v.looseObject({ phase: v.string(), step: v.number(), totalSteps: v.number() });

/** What a folder without a report says of its run; every file of it may be absent or half written. */
async function unfinished(from: string, read: FoundFolder['read']): Promise<{ id: string; pending: PendingRun }> {
  const part = async <T>(path: string, schema: v.GenericSchema<unknown, T>): Promise<T | undefined> => {
    try {
      const bytes = await read(path);
      return bytes === undefined ? undefined : v.parse(schema, parseJsonObject(bytes, path));
    } catch {
      return undefined; // as good as not there
    }
  };
  const record = await part('run-folder.json', RecordSchema);
  const experiment = await part('experiment.json', ExperimentSchema);
  const state = await part('checkpoints/run.json', StateSchema);
  const name = record?.name ?? experiment?.name;
  if (name === undefined) {
    throw new PupilError('data', `expected a run, it has neither a ${REPORT} nor a record that can be read`);
  }
  const seed = experiment?.seed ?? (typeof record?.['seed'] === 'number' ? record['seed'] : undefined);
  const total = state === undefined ? undefined : await totalSteps(read, state.phase);
  const how =
    state === undefined
      ? 'before its first checkpoint'
      : `${state.phase}, step ${state.step}${total === undefined ? '' : ` of ${total}`}, last checkpoint ${state.updatedAt}`;
  return {
    id: record?.runId ?? from,
    pending: { from, name, ...(seed === undefined ? {} : { seed }), state: 'unfinished', how },
  };
}

/** Of the last line of metrics.jsonl that is of this phase. */
async function totalSteps(read: FoundFolder['read'], phase: string): Promise<number | undefined> {
  const bytes = await read('metrics.jsonl').catch(() => undefined);
  if (bytes === undefined) return undefined;
  const lines = new TextDecoder().decode(bytes).split('\n').reverse();
  for (const line of lines) {
    try {
      const row = v.parse(MetricsSchema, JSON.parse(line));
      return row.phase === phase ? row.totalSteps : undefined;
    } catch {
      continue; // the last line may be half written
    }
  }
  return undefined;
}

const QualitySchema = v.looseObject({
  n: v.pipe(v.number(), v.finite()),
  mean: v.exactOptional(v.pipe(v.number(), v.finite())),
  interval: v.exactOptional(v.object({ low: v.pipe(v.number(), v.finite()), high: v.pipe(v.number(), v.finite()) })),
  unparsable: v.record(v.string(), v.number()),
  missing: v.number(),
});
const JudgeSchema = v.looseObject({
  format: v.literal('pupil-judge'),
  version: v.literal(1),
  judge: v.string(),
  rows: v.array(
    v.looseObject({
      run: v.string(),
      system: v.string(),
      tasks: v.record(v.string(), QualitySchema),
      all: QualitySchema,
    }),
  ),
});

const TEACHERS = / \(teachers\)$/;

/** A judge's rows by the runs that they are of; rows of runs that are not here are told. */
function readJudge(reading: Reading, from: string, bytes: Uint8Array): void {
  const parsed = v.safeParse(JudgeSchema, parseJsonObject(bytes, from));
  if (!parsed.success)
    throw new PupilError('data', `expected ratings of \`pupil judge\` (version 1), ${parsed.issues[0].message}`);
  const { judge, rows } = parsed.output;
  const strangers = new Set<string>();
  for (const run of new Set(rows.map((row) => row.run))) {
    const name = run.replace(TEACHERS, '');
    const [runId, ...others] = reading.called.get(name) ?? [];
    if (runId === undefined || others.length > 0) {
      strangers.add(
        runId === undefined ? `${run} is none of the finished runs` : `${run} may be ${others.length + 1} of the runs`,
      );
      continue;
    }
    const own = rows.filter((row) => row.run === run) as unknown as JudgedRun['rows'];
    reading.judged.push({ runId, judge, rows: own.map(({ system, tasks, all }) => ({ system, tasks, all })) });
  }
  if (strangers.size > 0) throw new PupilError('data', `ratings are left out: ${[...strangers].join('; ')}`);
}

/** A series' document by itself, or what a series wrote about itself. */
async function readGrid(reading: Reading, { from, open }: FoundFile): Promise<void> {
  const json = parseJsonObject(await wholeOf(await open()), from);
  // A full run's document and a series' own report hold the series as a part.
  const series = parseSeries(typeof json['format'] === 'string' ? json['series'] : json);
  const known = reading.grids.some(({ name }) => name === series.name);
  if (known) return; // the same series in another folder (shards, copies): its runs are counted together
  reading.grids.push(gridProgress(from, series, reading.found));
}

const baseName = (path: string): string => path.replace(/[/\\]+$/, '').replace(/^.*[/\\:]/, '');

const equal = (a: Uint8Array, b: Uint8Array): boolean =>
  a.byteLength === b.byteLength && a.every((byte, i) => byte === b[i]);

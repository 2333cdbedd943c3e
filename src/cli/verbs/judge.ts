// judge.ts: `pupil judge`: a model behind an API rates what students answered in finished runs, from 1 to 3 with the prompt of
// Table 12; the averages are a table as Tables 13 and 14. Needs no GPU and no browser. Ctrl-C waits for the ratings under way;
// the same command again goes on.
import type { Command } from 'commander';
import { existsSync, readFileSync, statSync } from 'node:fs';
import { basename, dirname, join, parse, resolve } from 'node:path';
import { PupilError } from '../../base/errors';
import type { JudgeRequest, JudgeSummary, JudgeTable, Quality } from '../../session/protocol';
import { addApiFlags, apiSettings, askedLines, cachePath, estimateText, findKey, type ApiFlags } from '../apiFlags';
import { perform, type ExitCode, type VerbContext } from '../context';
import { expectFile, outputFile } from '../files';
import { pathInRoot } from '../host';
import { stopOnInterrupt } from '../interrupt';
import { integerIn } from '../options';
import type { Output } from '../output';

interface JudgeFlags extends ApiFlags {
  systems?: string[];
  tasks?: string[];
  limit?: number;
  seed: number;
  targets?: boolean;
  plan?: boolean;
}

export function registerJudge(program: Command, context: VerbContext): void {
  const command = program
    .command('judge')
    .description("let a model behind an API rate students' answers from 1 to 3 (Tables 12 to 14), resumable")
    .argument('<runs...>', 'folders of runs, or files of predictions or of demonstrations (a teacher, Table 13)')
    .option('--systems <names...>', 'rows of the table, by their names (default: all as in Table 14)')
    .option('--tasks <names...>', 'tasks, by their names in the runs (default: all)')
    .option('--limit <n>', 'so many questions of each task, the same for all systems; 50 in the paper', integerIn(1))
    .option('--seed <n>', 'of the choice of questions', integerIn(0, 0xffffffff), 0)
    .option('--targets', 'rate the target answers as well, as in Table 13')
    .option('--plan', 'the same as --estimate')
    .option('--out <file>', 'where the ratings go (JSONL), judge.json beside them; needed unless --estimate');
  addApiFlags(command, 'the judge', 0).action((runs: string[], flags: JudgeFlags) => {
    const asked = { ...flags, estimate: flags.estimate === true || flags.plan === true };
    return perform(context, flags.json === true, (output) => judge(runs, asked, output));
  });
}

async function judge(runs: readonly string[], flags: JudgeFlags, output: Output): Promise<ExitCode> {
  const settings = apiSettings(flags);
  const { inputs, predictions } = inputRuns(runs);
  const files = outputFiles(flags, inputs);
  const cacheFile = cachePath(flags, files?.ratings, inputs);
  const root = { kind: 'disk', directory: parse(process.cwd()).root } as const;
  const request: JudgeRequest = {
    ...settings,
    predictions,
    files: root,
    ...(flags.systems === undefined ? {} : { systems: flags.systems }),
    ...(flags.tasks === undefined ? {} : { tasks: flags.tasks }),
    ...(flags.limit === undefined ? {} : { limit: flags.limit }),
    seed: flags.seed,
    ...(flags.targets === true ? { targets: true } : {}),
    ...(files === undefined
      ? {}
      : { out: { root, ratings: pathInRoot(files.ratings), table: pathInRoot(files.table) } }),
  };
  const { estimateJudgingHere, judgeHere } = await import('../nodeHost');
  const estimate = await estimateJudgingHere(request, cacheFile);
  if (flags.estimate === true) {
    output.result('judge-estimate', { ...estimate }, () => estimateText(estimate, 'to rate'));
    return 0;
  }
  output.note(estimateText({ ...estimate, warnings: [] }, 'to rate')); // warnings come as it begins
  const key = estimate.toSend === 0 ? undefined : await findKey(flags, output);
  const control = new AbortController();
  const release = stopOnInterrupt(
    { stop: () => Promise.resolve(control.abort()) },
    output,
    'waiting for the ratings under way',
  );
  try {
    const summary = await judgeHere({ ...request, ...(key === undefined ? {} : { key }) }, cacheFile!, {
      signal: control.signal,
      onEvent: (event) => output.teachEvent(event),
    });
    const { ratings, ...rest } = summary;
    output.result('judge', { ...rest, n: ratings.length, out: files!.ratings, tableOut: files!.table }, () =>
      summaryText(summary, files!),
    );
    return exitCode(summary);
  } finally {
    release();
  }
}

const hasRating = ({ ratings }: JudgeSummary): boolean => ratings.some(({ rating }) => rating !== undefined);

function exitCode(summary: JudgeSummary): ExitCode {
  if (summary.reason === 'stopped') return 130;
  return summary.reason === 'finished' && hasRating(summary) ? 0 : 1;
}

/** A run is called as its folder is, or by its whole path where two folders are called the same. */
function inputRuns(runs: readonly string[]): { inputs: string[]; predictions: JudgeRequest['predictions'] } {
  const inputs = runs.map((run) => {
    const full = resolve(run);
    const isFolder = existsSync(full) && statSync(full).isDirectory();
    return expectFile('judge', isFolder ? join(full, 'predictions.jsonl') : full);
  });
  const names = inputs.map((file) => basename(dirname(file)));
  const predictions = inputs.map((file, i) => {
    const name = names[i]!;
    const isAlone = name !== '' && names.indexOf(name) === names.lastIndexOf(name);
    return { run: isAlone ? name : file, path: pathInRoot(file) };
  });
  return { inputs, predictions };
}

interface OutputFiles {
  ratings: string;
  table: string;
}

/** Existing files are only replaced where they are ratings and a table of this judge. */
function outputFiles({ out, estimate, label, model }: JudgeFlags, inputs: readonly string[]): OutputFiles | undefined {
  if (out === undefined) {
    if (estimate === true) return undefined;
    throw new PupilError('usage', '--out: expected a file for the ratings, none is named');
  }
  const ratings = outputFile('--out', out, inputs);
  const table = outputFile('--out', join(dirname(ratings), 'judge.json'), inputs);
  if (table === ratings) {
    throw new PupilError(
      'usage',
      `--out: expected a file for the ratings, ${ratings} is where the table goes`,
      'Name it ratings.jsonl, say.',
    );
  }
  const judgeOf = (text: string): string | undefined => {
    try {
      const { judge: found } = JSON.parse(text) as { judge?: unknown };
      return typeof found === 'string' ? found : undefined;
    } catch {
      return undefined;
    }
  };
  const expectOwn = (path: string, read: (text: string) => string | undefined): void => {
    const text = existsSync(path) ? readFileSync(path, 'utf8') : '';
    const found = read(text);
    if (text.trim() === '' || found === (label ?? model)) return;
    throw new PupilError(
      'usage',
      `--out: expected new files, or ratings by ${label ?? model}, ${path} holds ${found === undefined ? 'something else' : `ratings by ${found}`}`,
      'Name a file in another folder.',
    );
  };
  expectOwn(ratings, (text) => judgeOf(text.split('\n', 1)[0]!));
  expectOwn(table, judgeOf);
  return { ratings, table };
}

const sum = (counts: Readonly<Record<string, number>>): number => Object.values(counts).reduce((a, b) => a + b, 0);

/** `2.43 (2.21 – 2.64) n 50, 2 unparsable` */
function cell(quality: Quality | undefined): string {
  if (quality === undefined) return '';
  const { n, mean, interval, unparsable, missing } = quality;
  const without = [
    ...(sum(unparsable) > 0 ? [`${sum(unparsable)} unparsable`] : []),
    ...(missing > 0 ? [`${missing} missing`] : []),
  ];
  return (
    (mean === undefined ? '–' : mean.toFixed(2)) +
    (interval === undefined ? '' : ` (${interval.low.toFixed(2)} – ${interval.high.toFixed(2)})`) +
    ` n ${n}${without.map((text) => `, ${text}`).join('')}`
  );
}

/** Tables 13 and 14: a row a system, a column a task. */
export function tableText({ tasks, rows, predictions }: JudgeTable): string {
  const lines = [
    ['', ...tasks, ...(tasks.length > 1 ? ['all'] : [])],
    ...rows.map((row) => [
      predictions.length > 1 ? `${row.run}: ${row.system}` : row.system,
      ...tasks.map((task) => cell(row.tasks[task])),
      ...(tasks.length > 1 ? [cell(row.all)] : []),
    ]),
  ];
  const widths = lines[0]!.map((_, i) => Math.max(...lines.map((line) => line[i]!.length)));
  return lines
    .map((line) =>
      line
        .map((text, i) => text.padEnd(widths[i]!))
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}

function summaryText(summary: JudgeSummary, { ratings, table }: OutputFiles): string {
  const reasons = new Map<string, number>();
  for (const { unparsable } of summary.ratings) {
    if (unparsable !== undefined) reasons.set(unparsable, (reasons.get(unparsable) ?? 0) + 1);
  }
  const bad = [...reasons.values()].reduce((a, b) => a + b, 0);
  const wasWritten = summary.ratings.some(({ reply }) => reply !== undefined);
  return [
    `average ratings from 1 to 3 by ${summary.label} (95 %: bootstrap over questions)`,
    tableText(summary.table),
    ...(bad === 0
      ? []
      : [
          `${bad} of ${summary.ratings.length} replies without a rating, in no average: ${[...reasons].map(([reason, count]) => `${reason} ${count}`).join(', ')}`,
        ]),
    ...askedLines(summary),
    ...(wasWritten ? [`ratings: ${ratings}`, `table: ${table}`] : []),
  ].join('\n');
}

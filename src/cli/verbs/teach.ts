// teach.ts: `pupil teach`: a teacher behind an API answers a task's items; its demonstrations go to a file that experiments
// read. Needs no GPU and no browser. Ctrl-C waits for the answers under way; the same command again goes on.
import { InvalidArgumentError, Option, type Command } from 'commander';
import { existsSync, readFileSync } from 'node:fs';
import { parse } from 'node:path';
import { PupilError } from '../../base/errors';
import { TASK_IDS, type ColumnMapping, type TaskId } from '../../config/experiment';
import type { TeachRequest, TeachSummary } from '../../session/protocol';
import { addApiFlags, apiSettings, askedLines, cachePath, estimateText, findKey, type ApiFlags } from '../apiFlags';
import { perform, type ExitCode, type VerbContext } from '../context';
import { expectFile, outputFile } from '../files';
import { pathInRoot } from '../host';
import { stopOnInterrupt } from '../interrupt';
import { integerIn } from '../options';
import type { Output } from '../output';

interface TeachFlags extends ApiFlags {
  task: TaskId;
  files: string[];
  family: 'in-family' | 'out-family';
  samples: number;
  limit?: number;
  mapping?: ColumnMapping;
}

const MAPPED = ['question', 'choices', 'target', 'id', 'content'] as const;

/**
 * Columns as flags name them: a JSON object as in an experiment, or `question=Q,answer=A`; several columns of options are
 * parted by "|". Whether there are such columns is seen when the file is read.
 */
export function columnMapping(text: string): ColumnMapping {
  const shape = 'Expected question=COLUMN,answer=COLUMN (also choices=A|B|C, id=, content=), or the same as JSON.';
  if (text.trim().startsWith('{')) {
    try {
      return JSON.parse(text) as ColumnMapping; // the session checks its keys
    } catch (error) {
      throw new InvalidArgumentError(`${shape} ${(error as Error).message}.`);
    }
  }
  const mapping: Record<string, string | string[]> = {};
  for (const pair of text.split(',')) {
    const [, name = '', column = ''] = /^\s*([^=]*?)\s*=\s*(.*?)\s*$/.exec(pair) ?? [];
    const key = name === 'answer' ? 'target' : name;
    if (!(MAPPED as readonly string[]).includes(key) || column === '') throw new InvalidArgumentError(shape);
    if (key in mapping) throw new InvalidArgumentError(`${shape} ${key} is named twice.`);
    const columns = column.split('|').map((one) => one.trim());
    mapping[key] = key === 'choices' && columns.length > 1 ? columns : column;
  }
  return mapping as unknown as ColumnMapping;
}

function family(text: string): 'in-family' | 'out-family' {
  if (text === 'in-family' || text === 'out-family') return text;
  throw new InvalidArgumentError('Expected in-family or out-family.');
}

export function registerTeach(program: Command, context: VerbContext): void {
  const command = program
    .command('teach')
    .description('let a teacher behind an API annotate a task: demonstrations with chain of thought, resumable')
    .addOption(new Option('--task <task>', 'whose items these are').choices(TASK_IDS).makeOptionMandatory())
    .requiredOption('--files <files...>', "the task's files, or lesson:… paths of generated items")
    .option('--family <family>', "in-family: the teacher is of the student's model family", family, 'out-family')
    .option('--samples <n>', 'answers to each item', integerIn(1, 1000), 1)
    .option('--limit <n>', 'the first so many items', integerIn(1))
    .option('--mapping <columns>', 'of task custom: question=Q,answer=A or JSON (default: guessed)', columnMapping)
    .option('--out <file>', 'where the demonstrations go (JSONL); needed unless --estimate');
  addApiFlags(command, 'the teacher', 0.7).action((flags: TeachFlags) =>
    perform(context, flags.json === true, (output) => teach(flags, output)),
  );
}

async function teach(flags: TeachFlags, output: Output): Promise<ExitCode> {
  const settings = apiSettings(flags);
  const { inputs, paths } = inputFiles(flags.files);
  const out = flags.out === undefined ? undefined : outputFile('--out', flags.out, inputs);
  if (out === undefined && flags.estimate !== true) {
    throw new PupilError('usage', '--out: expected a file for the demonstrations, none is named');
  }
  if (out !== undefined) expectOwnFile(out, flags);
  const cacheFile = cachePath(flags, out, inputs);
  const root = { kind: 'disk', directory: parse(process.cwd()).root } as const;
  const request: TeachRequest = {
    ...settings,
    task: flags.task,
    paths,
    files: root,
    samples: flags.samples,
    ...(flags.limit === undefined ? {} : { limit: flags.limit }),
    ...(flags.mapping === undefined ? {} : { mapping: flags.mapping }),
    family: flags.family,
    ...(out === undefined ? {} : { out: { root, path: pathInRoot(out) } }),
  };
  const { estimateTeachingHere, teachHere } = await import('../nodeHost');
  const estimate = await estimateTeachingHere(request, cacheFile);
  if (flags.estimate === true) {
    output.result('teach-estimate', { ...estimate }, () => estimateText(estimate, 'items'));
    return 0;
  }
  output.note(estimateText({ ...estimate, warnings: [] }, 'items')); // warnings come as it begins
  const key = estimate.toSend === 0 ? undefined : await findKey(flags, output);
  const control = new AbortController();
  const release = stopOnInterrupt(
    { stop: () => Promise.resolve(control.abort()) },
    output,
    'waiting for the answers under way',
  );
  try {
    const summary = await teachHere({ ...request, ...(key === undefined ? {} : { key }) }, cacheFile!, {
      signal: control.signal,
      onEvent: (event) => output.teachEvent(event),
    });
    const { demonstrations, ...rest } = summary;
    output.result('teach', { ...rest, n: demonstrations.length, ...(out === undefined ? {} : { out }) }, () =>
      summaryText(summary, out!),
    );
    return exitCode(summary);
  } finally {
    release();
  }
}

function exitCode({ reason, demonstrations }: TeachSummary): ExitCode {
  if (reason === 'stopped') return 130;
  return reason === 'finished' && demonstrations.length > 0 ? 0 : 1;
}

function inputFiles(files: readonly string[]): { inputs: string[]; paths: string[] } {
  const inputs: string[] = [];
  const paths = files.map((file) => {
    if (file.startsWith('lesson:')) return file;
    const full = expectFile('--files', file);
    inputs.push(full);
    return pathInRoot(full);
  });
  return { inputs, paths };
}

/** An existing file is only replaced where it holds demonstrations of this task by this teacher. */
function expectOwnFile(path: string, { task, label, model }: TeachFlags): void {
  if (!existsSync(path)) return;
  const [first = ''] = readFileSync(path, 'utf8').split('\n', 1);
  if (first.trim() === '') return;
  const teacher = label ?? model;
  let found = 'something else';
  try {
    const row = JSON.parse(first) as { taskId?: unknown; teacher?: unknown };
    if (row.taskId === task && row.teacher === teacher) return;
    if (typeof row.teacher === 'string') found = `demonstrations of ${String(row.taskId)} by ${row.teacher}`;
  } catch {
    // told below
  }
  throw new PupilError(
    'usage',
    `--out: expected a new file, or one with demonstrations of ${task} by ${teacher}, ${path} holds ${found}`,
    'Name another file.',
  );
}

const percent = (share: number): string => (share * 100).toFixed(1);

function summaryText(summary: TeachSummary, out: string): string {
  const { demonstrations, correct, accuracy, interval } = summary;
  const n = demonstrations.length;
  return [
    n === 0
      ? 'no demonstrations'
      : `${summary.label}: accuracy ${percent(accuracy)} %  (${percent(interval.low)} – ${percent(interval.high)}, Wilson 95 %), ${correct} right of n = ${n}`,
    ...askedLines(summary),
    ...(n === 0 ? [] : [`demonstrations: ${out}`]),
  ].join('\n');
}

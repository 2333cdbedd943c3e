// teach.ts: `pupil teach`: a teacher behind an API answers a task's items; its demonstrations go to a file that experiments
// read. Needs no GPU and no browser. Ctrl-C waits for the answers under way; the same command again goes on.
import { InvalidArgumentError, Option, type Command } from 'commander';
import { existsSync, readFileSync } from 'node:fs';
import { parse, resolve } from 'node:path';
import { PupilError } from '../../base/errors';
import { API_PROVIDERS, findProvider, type ApiProvider } from '../../config/apiProviders';
import { TASK_IDS, type TaskId } from '../../config/experiment';
import type { TeachEstimate, TeachRequest, TeachSummary } from '../../session/protocol';
import { perform, type ExitCode, type VerbContext } from '../context';
import { expectFile, outputFile } from '../files';
import { pathInRoot } from '../host';
import { stopOnInterrupt } from '../interrupt';
import { integerIn, numberIn } from '../options';
import type { Output } from '../output';
import { askSecret } from '../secret';

interface TeachFlags {
  task: TaskId;
  files: string[];
  provider?: string;
  baseUrl?: string;
  model: string;
  keyEnv?: string;
  label?: string;
  family: 'in-family' | 'out-family';
  system?: string;
  temperature: number | 'server';
  topP?: number;
  maxTokens: number;
  samples: number;
  limit?: number;
  concurrency?: number;
  timeout?: number;
  priceIn?: number;
  priceOut?: number;
  budget?: number;
  budgetTokens?: number;
  out?: string;
  cache?: string;
  estimate?: boolean;
  retryFailed?: boolean;
  json?: boolean;
}

const temperature = (text: string): number | 'server' => (text === 'server' ? text : numberIn(0, 2)(text));

function family(text: string): 'in-family' | 'out-family' {
  if (text === 'in-family' || text === 'out-family') return text;
  throw new InvalidArgumentError('Expected in-family or out-family.');
}

export function registerTeach(program: Command, context: VerbContext): void {
  program
    .command('teach')
    .description('let a teacher behind an API annotate a task: demonstrations with chain of thought, resumable')
    .addOption(new Option('--task <task>', 'whose items these are').choices(TASK_IDS).makeOptionMandatory())
    .requiredOption('--files <files...>', "the task's files, or lesson:… paths of generated items")
    .addOption(
      new Option('--provider <name>', 'a known service or server (default: other, with --base-url)').choices(
        API_PROVIDERS.map(({ id }) => id),
      ),
    )
    .option('--base-url <url>', 'where it is reached, e.g. http://localhost:11434/v1')
    .requiredOption('--model <name>', 'the model, by its name there')
    .option('--key-env <name>', "variable that holds the key (default: the provider's own); keys are never flags")
    .option('--label <name>', "the teacher's name in tables (default: the model's)")
    .option('--family <family>', "in-family: the teacher is of the student's model family", family, 'out-family')
    .option('--system <text>', 'said to the model before the question')
    .option('--temperature <t>', 'of sampling; `server`: not sent', temperature, 0.7)
    .option('--top-p <p>', 'of sampling', numberIn(0, 1))
    .option('--max-tokens <n>', 'longest answer', integerIn(1, 1e6), 512)
    .option('--samples <n>', 'answers to each item', integerIn(1, 1000), 1)
    .option('--limit <n>', 'the first so many items', integerIn(1))
    .option('--concurrency <n>', 'most requests at once', integerIn(1, 256))
    .option('--timeout <seconds>', 'until an answer must be there', numberIn(1, 86_400))
    .option('--price-in <price>', 'of a million tokens in, in any currency', numberIn(0))
    .option('--price-out <price>', 'of a million tokens out', numberIn(0))
    .option('--budget <money>', 'never cost more, over all sittings; needs both prices', numberIn(0))
    .option('--budget-tokens <n>', 'never use more tokens, over all sittings', integerIn(0))
    .option('--out <file>', 'where the demonstrations go (JSONL); needed unless --estimate')
    .option('--cache <file>', 'where answers are kept as they come (default: OUT with .cache.jsonl)')
    .option('--estimate', 'say what it would need, and send nothing')
    .option('--retry-failed', 'ask again about items that failed for a reason that lasts')
    .option('--json', 'one JSON object a line on stdout')
    .action((flags: TeachFlags) => perform(context, flags.json === true, (output) => teach(flags, output)));
}

async function teach(flags: TeachFlags, output: Output): Promise<ExitCode> {
  const provider = chosenProvider(flags);
  const { inputs, paths } = inputFiles(flags.files);
  const out = flags.out === undefined ? undefined : outputFile('--out', flags.out, inputs);
  if (out === undefined && flags.estimate !== true) {
    throw new PupilError('usage', '--out: expected a file for the demonstrations, none is named');
  }
  if (out !== undefined) expectOwnFile(out, flags);
  const cacheFile = cachePath(flags, out, inputs);
  const root = { kind: 'disk', directory: parse(process.cwd()).root } as const;
  const request: TeachRequest = {
    ...settings(flags),
    provider: provider.id,
    paths,
    files: root,
    ...(out === undefined ? {} : { out: { root, path: pathInRoot(out) } }),
  };
  const { estimateTeachingHere, teachHere } = await import('../nodeHost');
  const estimate = await estimateTeachingHere(request, cacheFile);
  if (flags.estimate === true) {
    output.result('teach-estimate', { ...estimate }, () => estimateText(estimate));
    return 0;
  }
  output.note(estimateText(estimate));
  const key = estimate.toSend === 0 ? undefined : await findKey(flags, provider, output);
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

function chosenProvider({ provider, baseUrl }: TeachFlags): ApiProvider {
  if (provider === undefined && baseUrl === undefined) {
    throw new PupilError(
      'usage',
      '--provider: expected a provider or a --base-url, got neither',
      `Providers: ${API_PROVIDERS.map(({ id }) => id).join(', ')}.`,
    );
  }
  return findProvider(provider ?? 'other');
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

/** Where answers are kept; undefined where only an estimate is wanted and there is no cache to look into. */
function cachePath(flags: TeachFlags, out: string | undefined, inputs: readonly string[]): string | undefined {
  const beside = out?.replace(/(\.jsonl?)?$/, '.cache.jsonl');
  const named = flags.cache ?? beside;
  if (named === undefined) return undefined;
  const full = resolve(named);
  if (full === out) {
    throw new PupilError('usage', `--cache: expected another file than --out, got ${full} for both`);
  }
  if (flags.estimate === true) return existsSync(full) ? full : undefined;
  return outputFile('--cache', full, inputs);
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

function settings(flags: TeachFlags): Omit<TeachRequest, 'provider' | 'paths' | 'files'> {
  const { priceIn, priceOut, budget, budgetTokens } = flags;
  if ((priceIn === undefined) !== (priceOut === undefined)) {
    throw new PupilError('usage', '--price-in, --price-out: expected both or neither, got one');
  }
  if (budget !== undefined && priceIn === undefined) {
    throw new PupilError('usage', '--budget: expected --price-in and --price-out beside it', 'Or use --budget-tokens.');
  }
  return {
    task: flags.task,
    ...(flags.baseUrl === undefined ? {} : { baseUrl: flags.baseUrl }),
    model: flags.model,
    ...(flags.system === undefined ? {} : { system: flags.system }),
    ...(flags.temperature === 'server' ? {} : { temperature: flags.temperature }),
    ...(flags.topP === undefined ? {} : { topP: flags.topP }),
    maxTokens: flags.maxTokens,
    samples: flags.samples,
    ...(flags.limit === undefined ? {} : { limit: flags.limit }),
    ...(flags.label === undefined ? {} : { label: flags.label }),
    family: flags.family,
    ...(flags.concurrency === undefined ? {} : { concurrency: flags.concurrency }),
    ...(flags.timeout === undefined ? {} : { timeoutSeconds: flags.timeout }),
    ...(priceIn === undefined || priceOut === undefined
      ? {}
      : { prices: { inputPerMillion: priceIn, outputPerMillion: priceOut } }),
    ...(budget === undefined && budgetTokens === undefined
      ? {}
      : {
          budget: {
            ...(budget === undefined ? {} : { cost: budget }),
            ...(budgetTokens === undefined ? {} : { tokens: budgetTokens }),
          },
        }),
    ...(flags.retryFailed === true ? { retryFailed: true } : {}),
  };
}

/** From the environment, or typed at a terminal. */
async function findKey(flags: TeachFlags, provider: ApiProvider, output: Output): Promise<string | undefined> {
  const variable = flags.keyEnv ?? provider.keyVariable;
  const found = process.env[variable]?.trim() ?? '';
  if (found !== '') return found;
  if (flags.keyEnv === undefined && provider.key === 'optional') return undefined;
  if (flags.keyEnv === undefined && process.stdin.isTTY && !output.json) {
    return askSecret(`Key for ${provider.title} (not shown): `, process.stdin, process.stderr);
  }
  throw new PupilError(
    'usage',
    `--key-env: expected a key in the variable ${variable}, it is ${process.env[variable] === undefined ? 'not set' : 'empty'}`,
    `Set it in this shell (read -rs ${variable}; export ${variable}), so that it stands in no history.`,
  );
}

const whole = (value: number): string => Math.round(value).toLocaleString('en');
const percent = (share: number): string => (share * 100).toFixed(1);
const money = (value: number): string => (value < 0.1 ? value.toFixed(5) : value.toFixed(2));

function duration(seconds: number): string {
  if (seconds < 90) return `${Math.ceil(seconds)} s`;
  return seconds < 5400 ? `${Math.ceil(seconds / 60)} min` : `${(seconds / 3600).toFixed(1)} h`;
}

function estimateText(estimate: TeachEstimate): string {
  const { model, baseUrl, items, answers, toSend, cached, cachedFailures, likely, worst, basis } = estimate;
  const tokens = (usage: { prompt: number; completion: number }): string =>
    `${whole(usage.prompt)} tokens in, ${whole(usage.completion)} out`;
  const cost = (value: number | undefined): string => (value === undefined ? '' : `, cost ${money(value)}`);
  const known = cached + cachedFailures === 0 ? '' : ` (${cached} answered before, ${cachedFailures} failed for good)`;
  return [
    `${model} at ${baseUrl}: ${items} items, ${answers} answers; ${toSend} requests to send${known}`,
    ...(toSend === 0
      ? []
      : [
          `likely ${tokens(likely)}${cost(estimate.likelyCost)}, about ${duration(estimate.likelySeconds)} (lengths ${basis})`,
          `at most ${tokens(worst)}${cost(estimate.worstCost)}, each request sent once`,
        ]),
  ].join('\n');
}

function summaryText(summary: TeachSummary, out: string): string {
  const { demonstrations, correct, accuracy, interval, failures, notAsked, spent, lost, counted } = summary;
  const n = demonstrations.length;
  const reasons = new Map<string, number>();
  for (const { reason } of failures) reasons.set(reason, (reasons.get(reason) ?? 0) + 1);
  const lasting = failures.filter((failure) => failure.lasting).length;
  const lostTokens = lost.prompt + lost.completion;
  return [
    n === 0
      ? 'no demonstrations'
      : `${summary.label}: accuracy ${percent(accuracy)} %  (${percent(interval.low)} – ${percent(interval.high)}, Wilson 95 %), ${correct} right of n = ${n}`,
    `${summary.answered} answered now in ${duration(summary.seconds)}, ${summary.fromCache} before`,
    `${whole(spent.prompt)} tokens in, ${whole(spent.completion)} out${counted ? '' : ' (partly our own bounds: the server does not count)'}` +
      (summary.cost === undefined ? '' : `, cost ${money(summary.cost)}`) +
      (lostTokens === 0 ? '' : `; at most ${whole(lostTokens)} of them for requests that broke off`),
    ...(failures.length === 0
      ? []
      : [
          `${failures.length} failed: ${[...reasons].map(([reason, count]) => `${reason} ${count}`).join(', ')}`,
          ...failures.slice(0, 5).map(({ itemId, reason, message }) => `  ${itemId}: ${reason}: ${message}`),
          ...(failures.length > 5 ? [`  … and ${failures.length - 5} more (--json lists all)`] : []),
          ...(lasting === 0 ? [] : [`  --retry-failed asks again about ${lasting}; the others are asked anyway`]),
        ]),
    ...(notAsked === 0 ? [] : [`${notAsked} not asked yet`]),
    ...(summary.message === undefined ? [] : [`ended early: ${summary.message}`, `  ${summary.advice ?? ''}`]),
    ...(n === 0 ? [] : [`demonstrations: ${out}`]),
  ].join('\n');
}

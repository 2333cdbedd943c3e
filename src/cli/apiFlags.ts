// apiFlags.ts: the flags by which a model behind an API is named, asked and paid for, the same for `teach` and `judge`; its key,
// where its answers are kept, and in words what asking will need and what it has needed. It asks nothing.
import { Option, type Command } from 'commander';
import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import { PupilError } from '../base/errors';
import { API_PROVIDERS, findProvider, type ApiProvider } from '../config/apiProviders';
import type { ApiSettings, TeachEstimate, TeachSummary } from '../session/protocol';
import { outputFile } from './files';
import { integerIn, numberIn } from './options';
import type { Output } from './output';
import { askSecret } from './secret';

export interface ApiFlags {
  provider?: string;
  baseUrl?: string;
  model: string;
  keyEnv?: string;
  label?: string;
  system?: string;
  temperature: number | 'server';
  topP?: number;
  maxTokens: number;
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

/** @param who the model is, in words: "the teacher". */
export function addApiFlags(command: Command, who: string, standardTemperature: number): Command {
  return command
    .addOption(
      new Option('--provider <name>', 'a known service or server (default: other, with --base-url)').choices(
        API_PROVIDERS.map(({ id }) => id),
      ),
    )
    .option('--base-url <url>', 'where it is reached, e.g. http://localhost:11434/v1')
    .requiredOption('--model <name>', 'the model, by its name there')
    .option('--key-env <name>', "variable that holds the key (default: the provider's own); keys are never flags")
    .option('--label <name>', `${who}'s name in tables (default: the model's)`)
    .option('--system <text>', 'said to the model before the question')
    .option('--temperature <t>', 'of sampling; `server`: not sent', temperature, standardTemperature)
    .option('--top-p <p>', 'of sampling', numberIn(0, 1))
    .option('--max-tokens <n>', 'longest answer', integerIn(1, 1e6), 512)
    .option('--concurrency <n>', 'most requests at once', integerIn(1, 256))
    .option('--timeout <seconds>', 'until an answer must be there', numberIn(1, 86_400))
    .option('--price-in <price>', 'of a million tokens in, in any currency', numberIn(0))
    .option('--price-out <price>', 'of a million tokens out', numberIn(0))
    .option('--budget <money>', 'never cost more, over all sittings; needs both prices', numberIn(0))
    .option('--budget-tokens <n>', 'never use more tokens, over all sittings', integerIn(0))
    .option('--cache <file>', 'where answers are kept as they come (default: OUT with .cache.jsonl)')
    .option('--estimate', 'say what it would need, and send nothing')
    .option('--retry-failed', 'ask again about what failed for a reason that lasts')
    .option('--json', 'one JSON object a line on stdout');
}

export function chosenProvider({ provider, baseUrl }: ApiFlags): ApiProvider {
  if (provider === undefined && baseUrl === undefined) {
    throw new PupilError(
      'usage',
      '--provider: expected a provider or a --base-url, got neither',
      `Providers: ${API_PROVIDERS.map(({ id }) => id).join(', ')}.`,
    );
  }
  return findProvider(provider ?? 'other');
}

/** The flags as a request has them; all but the key. */
export function apiSettings(flags: ApiFlags): Omit<ApiSettings, 'key'> {
  const { priceIn, priceOut, budget, budgetTokens } = flags;
  if ((priceIn === undefined) !== (priceOut === undefined)) {
    throw new PupilError('usage', '--price-in, --price-out: expected both or neither, got one');
  }
  if (budget !== undefined && priceIn === undefined) {
    throw new PupilError('usage', '--budget: expected --price-in and --price-out beside it', 'Or use --budget-tokens.');
  }
  return {
    provider: chosenProvider(flags).id,
    ...(flags.baseUrl === undefined ? {} : { baseUrl: flags.baseUrl }),
    model: flags.model,
    ...(flags.system === undefined ? {} : { system: flags.system }),
    ...(flags.temperature === 'server' ? {} : { temperature: flags.temperature }),
    ...(flags.topP === undefined ? {} : { topP: flags.topP }),
    maxTokens: flags.maxTokens,
    ...(flags.label === undefined ? {} : { label: flags.label }),
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

/** Where answers are kept; undefined where only an estimate is wanted and there is no cache to look into. */
export function cachePath(flags: ApiFlags, out: string | undefined, inputs: readonly string[]): string | undefined {
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

/** From the environment, or typed at a terminal. */
export async function findKey(flags: ApiFlags, output: Output): Promise<string | undefined> {
  const provider = chosenProvider(flags);
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
const money = (value: number): string => (value < 0.1 ? value.toFixed(5) : value.toFixed(2));

function duration(seconds: number): string {
  if (seconds < 90) return `${Math.ceil(seconds)} s`;
  return seconds < 5400 ? `${Math.ceil(seconds / 60)} min` : `${(seconds / 3600).toFixed(1)} h`;
}

/** @param what is asked about: "items". */
export function estimateText(estimate: TeachEstimate, what: string): string {
  const { model, baseUrl, items, answers, toSend, cached, cachedFailures, likely, worst, basis, warnings, columns } =
    estimate;
  const tokens = (usage: { prompt: number; completion: number }): string =>
    `${whole(usage.prompt)} tokens in, ${whole(usage.completion)} out`;
  const cost = (value: number | undefined): string => (value === undefined ? '' : `, cost ${money(value)}`);
  const known = cached + cachedFailures === 0 ? '' : ` (${cached} answered before, ${cachedFailures} failed for good)`;
  return [
    `${model} at ${baseUrl}: ${items} ${what}, ${answers} answers; ${toSend} requests to send${known}`,
    ...(toSend === 0
      ? []
      : [
          `likely ${tokens(likely)}${cost(estimate.likelyCost)}, about ${duration(estimate.likelySeconds)} (lengths ${basis})`,
          `at most ${tokens(worst)}${cost(estimate.worstCost)}, each request sent once`,
        ]),
    ...(columns?.guess === undefined ? [] : [`columns, guessed: ${columns.guess} (--mapping names others)`]),
    ...warnings.map((warning) => `warning: ${warning}`),
  ].join('\n');
}

type Asked = Pick<
  TeachSummary,
  | 'answered'
  | 'fromCache'
  | 'seconds'
  | 'spent'
  | 'lost'
  | 'cost'
  | 'counted'
  | 'failures'
  | 'notAsked'
  | 'message'
  | 'advice'
>;

/** What was asked, what it cost, what failed, and why it ended early; a line each. */
export function askedLines(summary: Asked): string[] {
  const { failures, notAsked, spent, lost, counted } = summary;
  const reasons = new Map<string, number>();
  for (const { reason } of failures) reasons.set(reason, (reasons.get(reason) ?? 0) + 1);
  const lasting = failures.filter((failure) => failure.lasting).length;
  const lostTokens = lost.prompt + lost.completion;
  return [
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
  ];
}

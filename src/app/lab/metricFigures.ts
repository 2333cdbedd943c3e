// metricFigures.ts: which metrics of a run are drawn in one chart, and what each is called. Names are TRL's; a name that is not
// known here gets a chart of its own under that name. It draws nothing.
import type { ChartData, ChartLine } from '../chart';

export interface MetricPoint {
  step: number;
  values: Readonly<Record<string, number>>;
}

export interface MetricFigure {
  /** In the address (`metric`), so it never changes. */
  id: string;
  title: string;
  /** What a reader should know of it, in one sentence. */
  note?: string;
  keys: readonly string[];
}

const KNOWN: readonly MetricFigure[] = [
  {
    id: 'loss',
    title: 'Loss',
    note: 'Nats per answer token while instructing; the DPO loss, 0.693 where policy and reference agree, while refining.',
    keys: ['loss', 'eval_loss'],
  },
  {
    id: 'rewards',
    title: 'Rewards',
    note: 'β · log π/π_inst of the chosen and of the rejected answer, and their difference.',
    keys: ['rewards/chosen', 'rewards/rejected', 'rewards/margins'],
  },
  {
    id: 'accuracies',
    title: 'Pairs won by the chosen answer',
    keys: ['rewards/accuracies', 'eval_rewards/accuracies'],
  },
  {
    id: 'logps',
    title: 'Log-probability of the answers',
    note: 'Where the chosen answer’s falls far as well, the student is driven away from good answers too.',
    keys: ['logps/chosen', 'logps/rejected'],
  },
  {
    id: 'eval_rewards',
    title: 'Rewards, validation',
    keys: ['eval_rewards/chosen', 'eval_rewards/rejected', 'eval_rewards/margins'],
  },
  { id: 'eval_logps', title: 'Log-probability, validation', keys: ['eval_logps/chosen', 'eval_logps/rejected'] },
  { id: 'grad_norm', title: 'Gradient norm', note: 'Before clipping.', keys: ['grad_norm'] },
  { id: 'learning_rate', title: 'Learning rate', keys: ['learning_rate'] },
  { id: 'tokens_per_second', title: 'Tokens per second', keys: ['tokens_per_second'] },
  { id: 'tokens', title: 'Tokens of a step', keys: ['tokens'] },
  { id: 'epoch', title: 'Epoch', keys: ['epoch'] },
  { id: 'gpu_bytes', title: 'Bytes on the GPU', keys: ['gpu_bytes'] },
];

/** Shown unless a person chooses: what tells whether training goes well. */
const STANDARD: ReadonlySet<string> = new Set([
  'loss',
  'rewards',
  'accuracies',
  'logps',
  'grad_norm',
  'learning_rate',
  'tokens_per_second',
]);

const COLOURS = ['--line-0', '--line-1', '--line-3', '--line-2'] as const;

/** Runs beside the live one by the kind of their line, not by colour alone. At most so many are told apart. */
export const DASHES: readonly (readonly number[] | undefined)[] = [undefined, [8, 4], [2, 3], [10, 3, 2, 3]];
export const DASH_WORDS = ['unbroken', 'dashed', 'dotted', 'dash-dotted'] as const;

/** The charts that some metrics fill, in a fixed order; each with those of its keys that there are. */
export function figuresOf(names: Iterable<string>): MetricFigure[] {
  const left = new Set(names);
  const found: MetricFigure[] = [];
  for (const figure of KNOWN) {
    const keys = figure.keys.filter((key) => left.delete(key));
    if (keys.length > 0) found.push({ ...figure, keys });
  }
  return [...found, ...[...left].sort().map((key) => ({ id: key, title: key, keys: [key] }))];
}

/** `loss,rewards` → those ids; '' → the standard ones; `none` → no chart. */
export function chosenFigures(text: string, figures: readonly MetricFigure[]): ReadonlySet<string> {
  if (text === '') return new Set(figures.filter(({ id }) => STANDARD.has(id)).map(({ id }) => id));
  const wanted = new Set(text.split(','));
  return new Set(figures.filter(({ id }) => wanted.has(id)).map(({ id }) => id));
}

/** What the address says of a choice: '' for the standard one. Ids of charts that are not there now are kept. */
export function chosenText(ids: ReadonlySet<string>, figures: readonly MetricFigure[], before: string): string {
  const standard = chosenFigures('', figures);
  if (ids.size === standard.size && [...ids].every((id) => standard.has(id))) return '';
  const there = new Set(figures.map(({ id }) => id));
  const absent = before.split(',').filter((id) => id !== '' && id !== 'none' && !there.has(id));
  const all = [...figures.map(({ id }) => id).filter((id) => ids.has(id)), ...absent];
  return all.length === 0 ? 'none' : all.join(',');
}

/** One run in a chart. */
export interface FigureRun {
  /** '' for the run that goes on. */
  name: string;
  points: readonly MetricPoint[];
}

const shortName = (key: string): string => key.slice(key.indexOf('/') + 1);

/** A line for each key of each run: its colour says the key, its kind of stroke the run. */
export function linesOf({ keys }: MetricFigure, runs: readonly { name: string }[]): ChartLine[] {
  return runs.flatMap(({ name }, r) =>
    keys.map((key, k) => {
      const own = keys.length === 1 ? key : shortName(key);
      const dash = DASHES[r % DASHES.length];
      return {
        label: runs.length === 1 ? own : `${own} · ${name === '' ? 'this run' : name}`,
        colour: COLOURS[k % COLOURS.length]!,
        ...(dash === undefined ? {} : { dash }),
      };
    }),
  );
}

/**
 * Exponential moving average with the weight of the past `factor`, debiased at its beginning (as TensorBoard's); gaps stay gaps.
 */
export function smoothed(values: readonly (number | null)[], factor: number): (number | null)[] {
  if (factor <= 0) return [...values];
  let [sum, weight] = [0, 0];
  return values.map((value) => {
    if (value === null) return null;
    sum = factor * sum + (1 - factor) * value;
    weight = factor * weight + (1 - factor);
    return sum / weight;
  });
}

/** x: every step of any of the runs; a line for each key of each run, in the order of {@link linesOf}. */
export function dataOf({ keys }: MetricFigure, runs: readonly FigureRun[], smoothing = 0): ChartData {
  const steps =
    runs.length === 1
      ? runs[0]!.points.map(({ step }) => step)
      : [...new Set(runs.flatMap(({ points }) => points.map(({ step }) => step)))].sort((a, b) => a - b);
  const lines = runs.flatMap(({ points }) => {
    const byStep = new Map(points.map(({ step, values }) => [step, values]));
    return keys.map((key) =>
      smoothed(
        steps.map((step) => byStep.get(step)?.[key] ?? null),
        smoothing,
      ),
    );
  });
  return [steps, ...lines];
}

// modelCard.ts: the README.md of a student that was pretrained here: what it is, what it was made of, how far it got. It
// says nothing that is not in the summary. Markdown with the front matter that the Hugging Face Hub reads.
import type { EnvironmentReport } from './types';

/** One training step as logged: `loss`, `grad_norm`, `learning_rate`, `tokens`, sometimes `eval_loss`. */
export type PretrainingRow = { step: number } & Record<string, number>;

/** Everything about a finished pretraining; pretraining.json is this. */
export interface PretrainingSummary {
  name: string;
  seed: number;
  parameters: number;
  shape: { hiddenSize: number; intermediateSize: number; layers: number; heads: number; contextTokens: number };
  settings: {
    steps: number;
    tokensPerStep: number;
    learningRate: number;
    beta1: number;
    beta2: number;
    weightDecay: number;
    clip: number;
    warmupSteps: number;
    decayFraction: number;
  };
  documents: number;
  tokens: number;
  /** Of training, in all sittings. */
  seconds: number;
  /** Share of the tokens by kind of document, measured. */
  mix: Record<string, number>;
  vocabulary: number;
  environment: EnvironmentReport;
  /** Of model.safetensors. */
  sha256: string;
  /** Name of the mix. */
  mixName?: string;
  rows: PretrainingRow[];
  /** How the student was made that this one was trained further from. */
  before?: PretrainingSummary;
}

const CURVE_ROWS = 16;

/** About sixteen rows of the log, evenly spaced, the last included; losses are means since the row before. */
export function thinned(rows: readonly PretrainingRow[]): { step: number; loss: number; evalLoss?: number }[] {
  const out: { step: number; loss: number; evalLoss?: number }[] = [];
  const stride = Math.max(1, Math.ceil(rows.length / CURVE_ROWS));
  for (let end = rows.length; end > 0; end -= stride) {
    const part = rows.slice(Math.max(0, end - stride), end);
    const measured = part.findLast((row) => row['eval_loss'] !== undefined)?.['eval_loss'];
    out.unshift({
      step: part.at(-1)!.step,
      loss: part.reduce((sum, row) => sum + row['loss']!, 0) / part.length,
      ...(measured === undefined ? {} : { evalLoss: measured }),
    });
  }
  return out;
}

/** All pretrainings that a student has behind it, the first one first. */
const stagesOf = (s: PretrainingSummary): PretrainingSummary[] => [
  ...(s.before === undefined ? [] : stagesOf(s.before)),
  s,
];

/** A Markdown table: a column for each stage. */
function table(
  stages: readonly PretrainingSummary[],
  head: string,
  rows: [string, (s: PretrainingSummary) => string][],
) {
  const line = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`;
  const names = stages.map((_, i) => (stages.length === 1 ? head : i === 0 ? 'first' : 'then'));
  return [
    line(['', ...names]),
    line(['---', ...names.map(() => '---')]),
    ...rows.map(([label, of]) => line([label, ...stages.map(of)])),
  ].join('\n');
}

/** How to make it again; the folder of the stage before has whatever name one gave it. */
const commandOf = ({ seed, settings: { steps }, mixName, before }: PretrainingSummary): string =>
  `\`npm run pretrain -- --steps ${steps} --seed ${seed}` +
  `${mixName === undefined || mixName === 'lesson' ? '' : ` --mix ${mixName}`}${before === undefined ? '' : ' --from FIRST'}\``;

function adapterOf({ environment }: PretrainingSummary): string {
  const adapter = environment.description || environment.device || environment.architecture;
  return `${environment.vendor} ${adapter}${environment.software ? ' (software)' : ''}, tier ${environment.tier}, ${environment.host === 'browser' ? 'in the browser' : 'Dawn in Node'}`;
}

function lossTable({ rows }: PretrainingSummary): string {
  const curve = thinned(rows).map(
    ({ step, loss, evalLoss }) => `| ${step} | ${loss.toFixed(4)} | ${evalLoss?.toFixed(4) ?? ''} |`,
  );
  return `| step | training | development |\n|---|---|---|\n${curve.join('\n')}`;
}

export function modelCard(s: PretrainingSummary): string {
  const { shape } = s;
  const stages = stagesOf(s);
  const made = table(stages, 'how', [
    ['command', commandOf],
    ['steps', ({ settings }) => `${settings.steps} of at most ${settings.tokensPerStep} tokens`],
    ['seen', (one) => `${one.documents.toLocaleString('en')} documents, ${one.tokens.toLocaleString('en')} tokens`],
    [
      'optimiser',
      ({ settings: o }) =>
        `AdamW, peak ${o.learningRate}, β ${o.beta1}/${o.beta2}, decay ${o.weightDecay} on matrices, clip ${o.clip}; warm-up ${o.warmupSteps}, the last ${Math.round(100 * o.decayFraction)} % linearly to 0`,
    ],
    ['adapter', adapterOf],
    ['time', ({ seconds }) => `${(seconds / 3600).toFixed(2)} hours`],
    ['engine', ({ environment }) => `Pupil ${environment.pupilVersion}`],
    ['SHA-256 of model.safetensors', ({ sha256 }) => `\`${sha256}\``],
  ]);
  const kinds = [...new Set(stages.flatMap(({ mix }) => Object.keys(mix)))];
  const read = table(
    stages,
    'share of tokens',
    kinds.map((kind) => [kind, ({ mix }) => `${(100 * (mix[kind] ?? 0)).toFixed(1)} %`]),
  );
  const losses = stages.map(
    (stage, i) => (stages.length === 1 ? '' : `### ${i === 0 ? 'First' : 'Then'}\n\n`) + lossTable(stage),
  );
  return `---
language: en
license: apache-2.0
pipeline_tag: text-generation
---

# ${s.name}

A student for lessons: a Llama of ${s.parameters.toLocaleString('en')} parameters (width ${shape.hiddenSize}, ${shape.layers} layers, ${shape.heads} heads, SwiGLU ${shape.intermediateSize}, context ${shape.contextTokens}, tied head) with a word-level vocabulary of ${s.vocabulary}. It knows a toy world of arithmetic stories, kinds of things and tools, and nothing else. It was made to show Self-refine Instruction-tuning in minutes, not to be useful.

The wording of the prompts and short chains of thought are latent in its pretraining corpus, so instruction-tuning *elicits* reasoning here and does not create it. Questions of the training, development and test parts do not occur in the corpus.

## How it was made

${stages.length === 1 ? 'From nothing' : 'From nothing, and then further with other shares of documents, with a fresh optimiser'}. Documents are whole, none sees another, each is read once.

${made}

## What it read

${read}

## Loss

Nats a token. Training loss is the mean since the row before; development documents come from a stream of their own, of the same shares.

${losses.join('\n\n')}

The whole log is in \`pretraining.json\`.
`;
}

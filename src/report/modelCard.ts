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
  rows: PretrainingRow[];
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

export function modelCard(s: PretrainingSummary): string {
  const { shape, settings, environment } = s;
  const adapter = environment.description || environment.device || environment.architecture;
  const mix = Object.entries(s.mix).map(([kind, share]) => `| ${kind} | ${(100 * share).toFixed(1)} % |`);
  const curve = thinned(s.rows).map(
    ({ step, loss, evalLoss }) => `| ${step} | ${loss.toFixed(4)} | ${evalLoss?.toFixed(4) ?? ''} |`,
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

| | |
|---|---|
| command | \`npm run pretrain\`, seed ${s.seed} |
| steps | ${settings.steps} of at most ${settings.tokensPerStep} tokens, documents whole, none seeing another |
| seen | ${s.documents.toLocaleString('en')} documents, ${s.tokens.toLocaleString('en')} tokens, each once |
| optimiser | AdamW, peak ${settings.learningRate}, β ${settings.beta1}/${settings.beta2}, decay ${settings.weightDecay} on matrices, clip ${settings.clip}; warm-up ${settings.warmupSteps}, the last ${Math.round(100 * settings.decayFraction)} % linearly to 0 |
| adapter | ${environment.vendor} ${adapter}${environment.software ? ' (software)' : ''}, tier ${environment.tier}, ${environment.host === 'browser' ? 'in the browser' : 'Dawn in Node'} |
| time | ${(s.seconds / 3600).toFixed(2)} hours |
| engine | Pupil ${environment.pupilVersion} |
| SHA-256 of model.safetensors | \`${s.sha256}\` |

## What it read

| kind of document | share of tokens |
|---|---|
${mix.join('\n')}

## Loss

Nats a token. Training loss is the mean since the row before; development documents come from a stream of their own.

| step | training | development |
|---|---|---|
${curve.join('\n')}

The whole log is in \`pretraining.json\`.
`;
}

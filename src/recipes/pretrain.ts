// pretrain.ts: phase "before the method": a small student learns language from a generated corpus, all weights trained, top to
// bottom. Documents are taken whole and in order; each is a sequence of its own that sees no other:
//
//     loss = − Σ_t log π(w_t | w_<t) / T      over the T predicted tokens of the step's documents
//
// Where a run stands is three numbers (step, next document, tokens so far), so that it resumes anywhere. It knows no files,
// no tokenizer and no session.
import { PupilError } from '../base/errors';
import { packSequences, type Sequence } from '../model/batch';
import type { Trainer } from '../model/trainer';
import { warmupStableDecay } from '../optim/schedule';
import type { BatchBounds } from './batches';
import { expectFinite, tokensPerSecond } from './training';

/** What this recipe needs of the trainer; a fake in tests. */
export type PretrainingTrainer = Pick<
  Trainer,
  'beginStep' | 'accumulateSupervised' | 'update' | 'metrics' | 'tokenLogps'
>;

/** Token ids of document i, from its first token (bos) to its last (eos). Endless; the same i gives the same ids. */
export type DocumentSource = (index: number) => readonly number[];

export interface PretrainSettings {
  steps: number;
  /** Tokens of a step at most: whole documents as long as they fit. */
  tokensPerStep: number;
  /** Peak. */
  learningRate: number;
  beta1: number;
  beta2: number;
  /** On matrices only. */
  weightDecay: number;
  /** Global gradient norm; 0 = no clipping. */
  clip: number;
  warmupSteps: number;
  /** Share of the steps at the end over which the rate falls to 0. */
  decayFraction: number;
  /** Steps between measurements of the development loss. */
  evaluateEverySteps: number;
}

/**
 * The prototype's recipe (AdamW 3e-3, β 0.9/0.98, decay 0.05, clip 1, warm-up 100, the last 30 % down) with half its 4,096
 * tokens a step: after 190 steps both had about the same loss, and half as many tokens cost half as much.
 */
export const PRETRAIN_DEFAULTS: Omit<PretrainSettings, 'steps'> = {
  tokensPerStep: 2048,
  learningRate: 3e-3,
  beta1: 0.9,
  beta2: 0.98,
  weightDecay: 0.05,
  clip: 1,
  warmupSteps: 100,
  decayFraction: 0.3,
  evaluateEverySteps: 100,
};

/** Where a run stands between two steps. */
export interface PretrainCursor {
  /** Steps done. */
  step: number;
  /** The first document not yet seen. */
  document: number;
  /** Tokens seen. */
  tokens: number;
}

export const PRETRAIN_START: Readonly<PretrainCursor> = { step: 0, document: 0, tokens: 0 };

/** No document is shorter: bos, one word, eos. It bounds how many fit into a step. */
const SHORTEST_DOCUMENT = 3;

const decaySteps = ({ steps, decayFraction }: Pick<PretrainSettings, 'steps' | 'decayFraction'>): number =>
  Math.round(decayFraction * steps);

/**
 * Steps before the rate begins to fall. Up to here a run does not depend on how many steps it is to have, and may still be
 * made longer or shorter.
 */
export const stableSteps = (settings: Pick<PretrainSettings, 'steps' | 'decayFraction'>): number =>
  settings.steps - decaySteps(settings);

/** What the trainer must be made for. */
export function pretrainBounds({ tokensPerStep }: Pick<PretrainSettings, 'tokensPerStep'>): BatchBounds {
  return {
    tokens: tokensPerStep,
    targets: tokensPerStep,
    sequences: Math.max(1, Math.floor(tokensPerStep / SHORTEST_DOCUMENT)),
  };
}

/** A document of which every token but the first is predicted. */
const predicted = (ids: readonly number[]): Sequence => ({ ids, labels: ids });

/**
 * The documents of one step: from `first` on, as many as fit.
 * @throws PupilError `data` for a document that is longer than a step, or too short to predict anything.
 */
export function documentsOfStep(
  source: DocumentSource,
  first: number,
  tokensPerStep: number,
): { documents: Sequence[]; tokens: number } {
  const documents: Sequence[] = [];
  let tokens = 0;
  for (let i = first; ; i++) {
    const ids = source(i);
    if (ids.length < SHORTEST_DOCUMENT || ids.length > tokensPerStep) {
      throw new PupilError(
        'data',
        `pretrain: document ${i}: expected ${SHORTEST_DOCUMENT} to ${tokensPerStep} tokens, got ${ids.length}`,
        'Documents are never cut: raise tokensPerStep, or leave this document out of the corpus.',
      );
    }
    if (tokens + ids.length > tokensPerStep) return { documents, tokens };
    documents.push(predicted(ids));
    tokens += ids.length;
  }
}

/** Mean loss (nats a token) of documents under the present weights, in batches of at most `tokensPerStep` tokens. */
export async function documentLoss(
  trainer: Pick<PretrainingTrainer, 'tokenLogps'>,
  documents: readonly (readonly number[])[],
  tokensPerStep: number,
): Promise<number> {
  let sum = 0;
  let count = 0;
  for (let at = 0; at < documents.length;) {
    const batch: Sequence[] = [];
    let tokens = 0;
    for (; at < documents.length; at++) {
      const ids = documents[at]!;
      if (batch.length > 0 && tokens + ids.length > tokensPerStep) break;
      batch.push(predicted(ids));
      tokens += ids.length;
    }
    const logps = await trainer.tokenLogps(packSequences(batch));
    for (const logp of logps) sum -= logp;
    count += logps.length;
  }
  return sum / count;
}

/** How a session follows pretraining. */
export interface PretrainRun {
  from: PretrainCursor;
  /** Documents on which the development loss is measured; the corpus must not hold them. */
  development: readonly (readonly number[])[];
  /** After every step: the place to checkpoint, to pause, and to stop by throwing. */
  onStep(cursor: PretrainCursor, values: Record<string, number>): Promise<void>;
}

/**
 * Trains from the cursor to the last step. Reports `loss` (nats a token, before the update), `grad_norm` (before
 * clipping), `learning_rate`, `tokens`, `tokens_per_second`, and `eval_loss` every `evaluateEverySteps` and at the end.
 *
 * @throws PupilError `training` for a non-finite loss or gradient; `data` for a document that fits no step.
 */
export async function pretrain(
  trainer: PretrainingTrainer,
  source: DocumentSource,
  settings: PretrainSettings,
  run: PretrainRun,
): Promise<void> {
  const { tokensPerStep, beta1, beta2, weightDecay, clip: maxNorm } = settings;
  let { document, tokens } = run.from;
  for (let step = run.from.step + 1; step <= settings.steps; step++) {
    const startMs = performance.now();
    const batch = documentsOfStep(source, document, tokensPerStep);
    const learningRate = warmupStableDecay(step - 1, {
      total: settings.steps,
      warmup: settings.warmupSteps,
      decay: decaySteps(settings),
      base: settings.learningRate,
    });
    trainer.beginStep(step - 1);
    await trainer.accumulateSupervised(packSequences(batch.documents), batch.tokens - batch.documents.length);
    await trainer.update({ learningRate, weightDecay, maxNorm, step, beta1, beta2 });
    const metrics = await trainer.metrics();
    expectFinite('pretrain', step, metrics);
    document += batch.documents.length;
    tokens += batch.tokens;
    const values: Record<string, number> = {
      loss: metrics.loss,
      grad_norm: metrics.gradNorm,
      learning_rate: learningRate,
      tokens: batch.tokens,
      tokens_per_second: tokensPerSecond(batch.tokens, startMs),
    };
    if (run.development.length > 0 && (step % settings.evaluateEverySteps === 0 || step === settings.steps)) {
      values['eval_loss'] = await documentLoss(trainer, run.development, tokensPerStep);
    }
    await run.onStep({ step, document, tokens }, values);
  }
}

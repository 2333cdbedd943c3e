// pretrainProtocol.ts: what is asked and told while a lesson's student is made from nothing. A part of protocol.ts. Types only.
import type { FileRoot } from '../sources/fileRoot';
import type { CorpusMixName } from '../tasks/lesson/corpus';

/** `pupil pretrain`: the lesson's student, from nothing or from an earlier one. What is absent has the default of recipes/pretrain.ts. */
export interface PretrainRequest {
  /** Where the student goes, and the checkpoint while it is being made. */
  out: FileRoot;
  name: string;
  seed: number;
  mix: CorpusMixName;
  steps: number;
  tokensPerStep?: number;
  learningRate?: number;
  /** The folder of a student that is trained further; its shape holds. */
  from?: FileRoot;
  shape: { hiddenSize: number; intermediateSize: number; layers: number; heads: number; contextTokens: number };
  checkpointEverySteps: number;
  resume: boolean;
}

/** One step of pretraining: `loss`, `grad_norm`, `learning_rate`, `tokens`, `tokens_per_second`, sometimes `eval_loss`. */
export interface PretrainStep {
  step: number;
  totalSteps: number;
  /** Seen so far. */
  tokens: number;
  values: Record<string, number>;
}

/** What was made, without the log that pretraining.json holds. */
export interface PretrainOutcome {
  parameters: number;
  tokens: number;
  seconds: number;
  /** Mean of the last steps. */
  loss: number;
  evalLoss?: number;
  /** Of model.safetensors. */
  sha256: string;
}

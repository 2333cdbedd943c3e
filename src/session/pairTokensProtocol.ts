// pairTokensProtocol.ts: what is said to a session to have the pairs of a stored run measured token by token. Types only;
// everything here survives structured cloning, except the callback.
import type { Progress } from '../base/progress';
import type { FileRoot } from '../sources/fileRoot';
import type { CacheRequest } from './studentProtocol';

export interface PairTokensRequest extends CacheRequest {
  /** The run's own: its student, its loss with β. */
  experiment: unknown;
  files: FileRoot;
  /** Whose pairs.jsonl and stored adapters are taken. */
  runId: string;
  /** Lines of pairs.jsonl, from 0. */
  pairs: readonly number[];
}

/** One token of an answer. */
export interface ScoredToken {
  id: number;
  /** As it reads behind the token before. */
  text: string;
  /** log π(token | prompt, tokens before), in nats; absent where the run has no refined student (yet). */
  policy?: number;
  /** The same under the frozen instructed student. */
  reference: number;
}

/** One answer of a pair. The last token is the end of text, unless the answer was cut off. */
export interface ScoredSequence {
  tokens: ScoredToken[];
  /** Σ over the tokens. */
  policy?: number;
  reference: number;
}

export interface ScoredPair {
  /** Its line in pairs.jsonl, from 0. */
  index: number;
  chosen: ScoredSequence;
  rejected: ScoredSequence;
  /** What the loss makes of it; absent without a policy. */
  outcome?: {
    /** β (log π/π_ref) of each answer: of sums over tokens, or of means where the summary says so. */
    rewardChosen: number;
    rewardRejected: number;
    /** The difference of the two. */
    margin: number;
    loss: number;
  };
}

export type PairTokensEvent =
  /** Of the student's weights, then of the pairs. */
  { type: 'progress'; progress: Progress } | { type: 'pair'; pair: ScoredPair };

export interface PairTokensSummary {
  /** How many were measured. */
  pairs: number;
  /** False where the run left no refined student. */
  policy: boolean;
  loss: 'sigmoid' | 'ipo' | 'hinge' | 'robust';
  beta: number;
  labelSmoothing: number;
  /** What the loss compares: sums over an answer's tokens, or means (ipo). */
  over: 'sums' | 'means';
  /** What computed: `f32`, say. */
  tier: string;
}

export interface PairTokensApi {
  /**
   * log π and log π_ref of every token of some pairs, on the GPU, as the run itself scored them; told pair by pair. Keeps the
   * student that it loaded, as talk does. {@link SessionApi.stop} ends it with `cancelled`.
   * @throws PupilError `usage` while other work goes on; `storage` where the run has no pairs or no instructed student.
   */
  pairTokens(request: PairTokensRequest, onEvent: (event: PairTokensEvent) => void): Promise<PairTokensSummary>;
}

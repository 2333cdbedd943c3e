// scoreProtocol.ts: what is said to a session to judge one text against one target. Types only; everything here survives
// structured cloning.
import type { ScorerName, TaskId } from '../config/experiment';

/** One text and what it should have said: a row of `pupil score`. */
export interface ScoreTextRequest {
  /** Whose answers these are: decides what an answer looks like. */
  task: TaskId;
  text: string;
  /** A letter, "D) train", the option's text, a number, an expression, or yes or no. */
  target: string;
  /** The options' texts without letters, where there are any. */
  choices?: string[];
}

/** What one scorer says. */
export interface TextVerdict {
  correct: boolean;
  /** What the scorer read from the text; absent where it read nothing. */
  extracted?: string;
  /** By which rule, in the scorer's own short words. */
  rule: string;
}

export interface ScoreApi {
  /** The verdicts of all scorers, as `pupil score` gives them. No GPU; answers while a run goes on. */
  scoreText(request: ScoreTextRequest): Promise<Record<ScorerName, TextVerdict>>;
}

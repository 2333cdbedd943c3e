// askProtocol.ts: a question that a person types, for one system of an experiment. A part of protocol.ts. Types only.
import type { PromptKind, SystemName } from '../report/types';
import type { FileRoot } from '../sources/fileRoot';
import type { CacheRequest } from './studentProtocol';

/** A question that a person types, for one system of an experiment. */
export interface AskRequest extends CacheRequest {
  experiment: unknown;
  files: FileRoot;
  system: SystemName;
  /** Whose stored adapter makes the system; not needed for the untouched student. */
  runId?: string;
  question: string;
  /** None: the answer is a number. Else texts without letters, two at the least. */
  options?: string[];
  prompt: PromptKind;
}

export interface AskAnswer {
  /** The whole prompt as the student reads it; without its wrapper where it was not asked. */
  prompt: string;
  /** The question with slips of case mended. */
  question: string;
  text: string;
  /** The letter or number that the text commits to. */
  answer?: string;
  /** Ended by the limit of tokens. */
  cutOff: boolean;
  /** Words that the student's vocabulary lacks. Where there are any, nothing was generated. */
  unknownWords: string[];
  /** What is to be said then, in place of an answer. */
  reply?: string;
}

/** What helps a person to ask something that the student of an experiment can be asked. */
export interface ExampleQuestions {
  /** The first test questions of the experiment's tasks, a task after the other. */
  examples: { taskId: string; question: string; options: string[]; target: string }[];
  /** Every word that the student knows; absent where its vocabulary is made of smaller pieces. */
  words?: string[];
}

// talkProtocol.ts: what is said to a session to talk with any student: a conversation or a text to be continued, by the untouched
// student or with an adapter. Types only; everything here survives structured cloning.
import type { Progress } from '../base/progress';
import type { SystemName } from '../config/systems';
import type { FileRoot } from '../sources/fileRoot';
import type { ChatMessage } from '../text/chatTemplate';
import type { CacheRequest } from './studentProtocol';

export type { ChatMessage } from '../text/chatTemplate';

/** What is put on the student: a stored run's system, or a PEFT folder of `files` (absent: the request's). */
export type TalkAdapter = { runId: string; system: SystemName } | { path: string; files?: FileRoot };

/** A student to talk with. */
export interface TalkStudentRequest extends CacheRequest {
  /** Where the student's paths are resolved. */
  files: FileRoot;
  /** As an experiment's `student`: source, tokenizer, quantize, tier. */
  student: unknown;
}

export interface TalkRequest extends TalkStudentRequest {
  /** Absent: the untouched student. */
  adapter?: TalkAdapter;
  /**
   * A conversation that ends with the user's message, by the student's own chat template. Where prompt and answer do not fit
   * into the context, the oldest messages after the system prompt are left out and counted. Either this or `text`.
   */
  messages?: ChatMessage[];
  /** A text to be continued as it stands, a beginning-of-text in front where the tokenizer puts one. Too long is refused. */
  text?: string;
  /** 256 unless said; never more than the context has left behind the prompt. */
  maxNewTokens?: number;
  /** 0 unless said: the likeliest token. */
  temperature?: number;
  /** 0: all. */
  topK?: number;
  /** In (0, 1]; 1: all. */
  topP?: number;
  seed?: number;
  /** Texts that end the answer; they are no part of it. */
  stop?: string[];
  /** Tell each token's log-probability, and so many of the likeliest ones (0 to 10). Absent: none of it. */
  topLogprobs?: number;
}

export interface TokenText {
  id: number;
  /** As it reads behind the token before it; half characters and control tokens are written out. */
  text: string;
}

/** One token that was drawn. */
export interface TalkToken extends TokenText {
  /** log π by the student's softmax, untempered and unfiltered. */
  logprob?: number;
  /** The likeliest, falling. */
  alternatives?: (TokenText & { logprob: number })[];
  /** It ended the answer and is no part of it. */
  end?: true;
}

export type TalkEvent =
  | { type: 'progress'; progress: Progress }
  /** Before the first token. */
  | { type: 'start'; promptTokens: number; droppedMessages: number; newTokenLimit: number }
  /**
   * Text that no later token changes, and the tokens that make it: mostly one, several for a character of many bytes. All
   * texts together are the answer's.
   */
  | { type: 'piece'; text: string; tokens: TalkToken[] };

export interface TalkAnswer {
  text: string;
  /** What was drawn, without the end token; where a stop text ended it, up to the token that completed that text. */
  ids: number[];
  stopped: 'eos' | 'length' | 'stop' | 'cancelled';
  /** The whole prompt as the student read it. */
  prompt: string;
  usage: { promptTokens: number; newTokens: number };
  /** Messages that the context had no room for. */
  droppedMessages: number;
  /** From the prompt to the end of the answer, without loading. */
  seconds: number;
  /** Until the first tokens were there. */
  firstTokenSeconds: number;
  tokensPerSecond: number;
  /** Words of the prompt that the vocabulary lacks: the student read something else in their place. */
  unknownWords: string[];
  /** What a person should know, a sentence each. */
  notes: string[];
}

/** What can be known of a student without its weights. */
export interface TalkStudent {
  source: string;
  parameters: number;
  contextTokens: number;
  /** It has a chat template: it can be talked with in turns. */
  chat: boolean;
}

export interface TalkApi {
  /** Reads the student's config and tokenizer; no weights, no GPU. */
  talkStudent(request: TalkStudentRequest): Promise<TalkStudent>;
  /**
   * One answer. Keeps what it loaded until other work begins: the next talk with the same student loads nothing, with another
   * adapter only that. `stop` ends the answer, which is then given as far as it got; while the student is still loading it
   * ends with `cancelled`.
   */
  talk(request: TalkRequest, onEvent: (event: TalkEvent) => void): Promise<TalkAnswer>;
}

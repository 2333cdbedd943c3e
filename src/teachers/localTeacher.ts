// localTeacher.ts: a model that answers beside us instead of behind an API, put where requests are sent: its answers and
// failures by the names that a server's have, so that queue, cache and counting are the same. It runs no model itself.
import { fromAnswer, type Answer } from '../base/answer';
import { toPlainError } from '../base/errors';
import { failure, type ApiAnswer, type ApiFailure } from './apiAnswer';
import type { SendOnce } from './apiRequest';
import type { TeacherAnswer, TeacherAnswerRequest } from './browserModel';

/** One answer of a model that may live across a border; it never rejects. */
export type AnswerLocally = (request: TeacherAnswerRequest) => Promise<Answer<TeacherAnswer>>;

/** Sends requests to a model beside us. An answer that is not waited for any longer is lost. */
export function sendLocally(answer: AnswerLocally): SendOnce {
  return async ({ prompt, system, maxTokens, temperature, sample }, signal) => {
    const request: TeacherAnswerRequest = {
      prompt,
      ...(system === undefined ? {} : { system }),
      maxNewTokens: maxTokens,
      temperature: temperature ?? 1, // the model's own distribution
      seed: sample, // several answers to one prompt differ, and each is the same another time
    };
    const stopped = failure('stopped', 'retry', 'the answer was given up as asked');
    if (signal.aborted) return stopped;
    const over = new AbortController();
    const aborted = new Promise<ApiFailure>((resolve) => {
      signal.addEventListener('abort', () => resolve(stopped), { once: true, signal: over.signal });
    });
    try {
      return await Promise.race([answer(request).then((one) => outcomeOf(fromAnswer(one))), aborted]);
    } catch (error) {
      const { message, hint } = toPlainError(error);
      return failure('model', 'item', hint === undefined ? message : `${message} ${hint}`);
    } finally {
      over.abort();
    }
  };
}

function outcomeOf({ text, promptTokens, newTokens, stopped }: TeacherAnswer): ApiAnswer | ApiFailure {
  const usage = { prompt: promptTokens, completion: newTokens };
  switch (stopped) {
    case 'interrupted':
      return failure('stopped', 'retry', 'the answer was given up as asked', { spent: usage });
    case 'length':
      return failure('cut-off', 'item', 'the answer reached the limit of tokens before its end', {
        spent: usage,
        text,
      });
    case 'eos':
      // The same prompt with the same seed would be as silent another time.
      if (text === '') return failure('empty', 'item', 'expected a text, the model ended at once', { spent: usage });
      return { kind: 'answer', text, usage };
  }
}

// answer.ts: how results and errors cross a border that keeps only plain data (a worker, a page driven from outside): a
// call that may fail answers with an object in both cases. It knows no transport.
import { fromPlainError, toPlainError, type PlainError } from './errors';

/** What a call answers across a border. */
export type Answer<T> = { ok: true; value: T } | { ok: false; error: PlainError };

/** The answer of one piece of work; it never rejects. */
export async function toAnswer<T>(work: () => Promise<T>): Promise<Answer<T>> {
  try {
    return { ok: true, value: await work() };
  } catch (error) {
    return { ok: false, error: toPlainError(error) };
  }
}

/** The value, or the error thrown as it was on the other side (a PupilError again where it was one). */
export function fromAnswer<T>(answer: Answer<T>): T {
  if (answer.ok) return answer.value;
  const error = fromPlainError(answer.error);
  // A bug is looked for where it happened, not where it was rethrown.
  if (answer.error.code === 'internal' && answer.error.stack !== undefined) error.stack = answer.error.stack;
  throw error;
}

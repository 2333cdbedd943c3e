// answers.ts: how results and errors cross the worker's border. Comlink keeps only name, message and stack of an Error, so
// a method that may fail answers with a plain object in both cases. It knows neither Comlink nor the session.
import { fromPlainError, toPlainError, type PlainError } from '../base/errors';

/** What a method answers across the border. */
export type Answer<T> = { ok: true; value: T } | { ok: false; error: PlainError };

/** The same interface, but every method answers instead of throwing. */
export type Answering<Api> = {
  [Name in keyof Api]: Api[Name] extends (...args: infer Args) => Promise<infer Value>
    ? (...args: Args) => Promise<Answer<Value>>
    : never;
};

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
  throw fromPlainError(answer.error);
}

/** Names of SessionApi's methods: a worker exposes these and nothing else. */
export const SESSION_METHODS = [
  'open',
  'doctor',
  'check',
  'run',
  'pause',
  'resume',
  'step',
  'stop',
  'inspect',
  'evaluate',
  'exportStudent',
  'listRuns',
  'deleteRun',
  'artefact',
] as const;

type AnyMethod = (...args: unknown[]) => Promise<unknown>;

/**
 * An object whose named methods answer. `make` is called on first use, so that an object that cannot be made (no WebGPU
 * here, say) answers with its error instead of failing to load.
 */
export function answering<Api extends object, Name extends keyof Api & string>(
  make: () => Api,
  names: readonly Name[],
): Answering<Pick<Api, Name>> {
  let api: Api | undefined;
  const entries = names.map((name) => [
    name,
    (...args: unknown[]) =>
      toAnswer(async () => {
        api ??= make();
        return await (api[name] as AnyMethod).apply(api, args);
      }),
  ]);
  return Object.fromEntries(entries) as Answering<Pick<Api, Name>>;
}

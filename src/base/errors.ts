// errors.ts: the one error type of Pupil. Every failure that a person may meet carries a stable code, says what was
// expected, what came, and what to do. It is not a class hierarchy: callers switch on `code`.

/** Stable identifiers of failures. Add one when a caller must tell two failures apart; never rename one. */
export type ErrorCode =
  | 'gpu-unavailable' // no WebGPU here, or no adapter
  | 'gpu-software-only' // a hardware adapter was asked for and only a software one exists
  | 'gpu-feature-missing' // a tier was asked for that the adapter does not offer
  | 'gpu-limit' // a size exceeds what the adapter allows
  | 'gpu-out-of-memory'
  | 'gpu-device-lost'
  | 'gpu-validation' // a bug of ours, or a driver's: WebGPU refused a command
  | 'shape' // a tensor's shape or dtype is not what the operation needs
  | 'config' // an experiment file, preset or option is wrong
  | 'format' // a file's bytes are not what its format says
  | 'checkpoint' // a model or training checkpoint lacks something or has something unexpected
  | 'data' // a data set row cannot be used
  | 'text' // a tokenizer or template problem
  | 'source' // a file cannot be fetched or found
  | 'storage' // IndexedDB, OPFS or disk refused
  | 'storage-full'
  | 'browser' // no browser, or it could not be driven
  | 'hung' // nothing was heard for longer than any work may take
  | 'teacher'
  | 'training' // non-finite loss and the like
  | 'cancelled'
  | 'queue' // the queue of full runs cannot be reached, or holds something else than expected
  | 'usage'; // a command line is wrong

/** What crosses a worker border: Comlink loses every field of an Error but message, name and stack. */
export interface PlainError {
  code: ErrorCode | 'internal';
  message: string;
  hint?: string;
  stack?: string;
}

/**
 * An error with a stable code. Message form: `op: what was expected, what came`; the hint says what to do.
 *
 * @example throw new PupilError('shape', 'rmsnormForward: x must be (N, 64), got (N, 60)', 'Check config.hidden_size.')
 */
export class PupilError extends Error {
  override readonly name = 'PupilError';
  constructor(
    readonly code: ErrorCode,
    message: string,
    readonly hint?: string,
    options?: { cause?: unknown },
  ) {
    super(message, options);
  }

  /** Message and hint in one text, for a terminal or a page. */
  get fullText(): string {
    return this.hint === undefined ? this.message : `${this.message}\n  ${this.hint}`;
  }
}

/** Any thrown value as a plain object that survives structured cloning. */
export function toPlainError(error: unknown): PlainError {
  if (error instanceof PupilError) {
    return {
      code: error.code,
      message: error.message,
      ...(error.hint === undefined ? {} : { hint: error.hint }),
      ...(error.stack === undefined ? {} : { stack: error.stack }),
    };
  }
  if (error instanceof Error) {
    return { code: 'internal', message: error.message, ...(error.stack === undefined ? {} : { stack: error.stack }) };
  }
  return { code: 'internal', message: String(error) };
}

/** The inverse of {@link toPlainError}, on the other side of a worker border. */
export function fromPlainError(plain: PlainError): Error {
  if (plain.code === 'internal') return new Error(plain.message);
  return new PupilError(plain.code, plain.message, plain.hint);
}

/** Throws a `shape` error unless the condition holds. */
export function expectShape(condition: boolean, message: () => string, hint?: string): asserts condition {
  if (!condition) throw new PupilError('shape', message(), hint);
}

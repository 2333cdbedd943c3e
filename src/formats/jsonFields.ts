// jsonFields.ts: the fields of a config file (config.json, adapter_config.json), each read with its check; a refusal names
// file, key, value and what is supported. Absent and null mean the same, as in Hugging Face's files. Not a schema language.
import { PupilError } from '../base/errors';
import { isJsonObject, showValue, type JsonObject } from './jsonText';

/** Above any real model's sizes, and low enough that products of two stay exact. */
const MAX_SIZE = 2 ** 24;

/** Hint for a value that no tool would have written. */
export const DAMAGED_JSON = 'The file is damaged or was edited: fetch it again from where the model comes from.';

export class JsonFields {
  /** @param unsupportedHint what to do about a value that is valid but that this engine does not do */
  constructor(
    readonly json: JsonObject,
    readonly fileName: string,
    private readonly unsupportedHint: string,
  ) {}

  has(key: string): boolean {
    return this.json[key] !== undefined && this.json[key] !== null;
  }

  /** Throws `checkpoint`, e.g. `config.json: hidden_act: expected "silu" or "swish", got "gelu"`. */
  refuse(key: string, expected: string, hint = this.unsupportedHint): never {
    const got = this.has(key) ? `got ${showValue(this.json[key])}` : 'the key is missing';
    throw new PupilError('checkpoint', `${this.fileName}: ${key}: expected ${expected}, ${got}`, hint);
  }

  /** A count: an integer from 1 to 2^24. */
  size(key: string, fallback?: number): number {
    if (!this.has(key) && fallback !== undefined) return fallback;
    const value = this.json[key];
    if (typeof value === 'number' && Number.isInteger(value) && value >= 1 && value <= MAX_SIZE) return value;
    return this.refuse(key, `an integer from 1 to ${MAX_SIZE}`, DAMAGED_JSON);
  }

  /** A number above 0. */
  positive(key: string): number {
    const value = this.json[key];
    if (typeof value === 'number' && Number.isFinite(value) && value > 0) return value;
    return this.refuse(key, 'a number above 0', DAMAGED_JSON);
  }

  flag(key: string, fallback: boolean): boolean {
    if (!this.has(key)) return fallback;
    const value = this.json[key];
    return typeof value === 'boolean' ? value : this.refuse(key, 'true or false', DAMAGED_JSON);
  }

  /** Refuses a key unless it is absent, null or one of these values. */
  only(key: string, ...harmless: unknown[]): void {
    if (this.has(key) && !harmless.includes(this.json[key])) {
      this.refuse(key, harmless.map(showValue).join(' or ') || 'null');
    }
  }

  /** Refuses a key unless it is absent, null, [] or {}. */
  empty(key: string): void {
    const value = this.json[key];
    const isEmpty = Array.isArray(value) ? value.length === 0 : isJsonObject(value) && Object.keys(value).length === 0;
    if (this.has(key) && !isEmpty) this.refuse(key, 'nothing');
  }
}

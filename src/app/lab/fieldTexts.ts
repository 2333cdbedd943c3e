// fieldTexts.ts: values of settings as the texts of their controls, and back. What cannot be read as a value stays the text that was
// typed: it is in the document then, and refused there with what was expected. It knows no control.
import type { Setting } from '../../config/settings';
import { formatBytes } from '../format';

const NUMBER = /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i;
const SIZE = /^(\d+(?:\.\d+)?)\s*([kmgt])i?b$/i;
const POWERS: Readonly<Record<string, number>> = { k: 10, m: 20, g: 30, t: 40 };

/** A decimal comma is a point; thousands are not separated. */
function readNumber(text: string, unit: string | undefined): number | string | undefined {
  const typed = text.trim();
  if (typed === '') return undefined;
  const plain = /^[+-]?\d*,\d+$/.test(typed) ? typed.replace(',', '.') : typed;
  if (NUMBER.test(plain)) return Number(plain);
  const size = unit === 'bytes' ? SIZE.exec(typed.replace(',', '.')) : null;
  return size === null ? typed : Math.round(Number(size[1]) * 2 ** POWERS[size[2]!.toLowerCase()]!);
}

const ESCAPES: Readonly<Record<string, string>> = { n: '\n', t: '\t', r: '\r', '\\': '\\' };

const escaped = (text: string): string =>
  text.replaceAll('\\', '\\\\').replaceAll('\n', '\\n').replaceAll('\t', '\\t').replaceAll('\r', '\\r');
const unescaped = (text: string): string => text.replace(/\\(.)/g, (whole, letter: string) => ESCAPES[letter] ?? whole);

/** What stands in the control. */
export function textOf({ text, shape }: Setting, value: unknown): string {
  if (value === undefined || value === null) return '';
  if (typeof value === 'string') return text === 'escaped' && shape.kind !== 'number' ? escaped(value) : value;
  return typeof value === 'number' ? String(value) : JSON.stringify(value);
}

/** What a typed text means; undefined: nothing is said, so that the default holds or the setting stays out. */
export function valueOf({ text, unit, shape, presence }: Setting, typed: string): unknown {
  if (shape.kind === 'number') return readNumber(typed, unit);
  if (typed === '' && presence === 'optional') return undefined;
  return text === 'escaped' ? unescaped(typed) : typed;
}

/** A value in a few words: of a default, or in a table of differences. */
export function shortText(value: unknown, unit?: string): string {
  if (value === undefined) return 'not set';
  if (value === true) return 'on';
  if (value === false) return 'off';
  if (typeof value === 'number') return unit === 'bytes' ? formatBytes(value) : String(value);
  if (typeof value === 'string') return value === '' ? 'empty' : escaped(value);
  if (Array.isArray(value) && value.every((one) => typeof one === 'string')) {
    return value.length === 0 ? 'none' : value.map((one) => escaped(one)).join(', ');
  }
  return JSON.stringify(value);
}

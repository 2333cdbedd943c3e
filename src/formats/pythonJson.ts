// pythonJson.ts: JSON text byte for byte as Python's json.dumps writes it, for files that Python tools compare or hash.
// Not a parser. Differences from JSON.stringify: spaces after ',' and ':', floats with a point, non-ASCII escaped.
import { PupilError } from '../base/errors';

/** A number that Python holds as a float: 0 is written "0.0", 1e-5 "1e-05". */
export class PythonFloat {
  constructor(readonly value: number) {}
}

export type PythonJson =
  null | boolean | number | string | PythonFloat | readonly PythonJson[] | { readonly [key: string]: PythonJson };

/** repr() of a Python float: the shortest decimal that reads back the same; an exponent below 1e-4 and from 1e16 on. */
function floatText(value: number): string {
  if (!Number.isFinite(value)) {
    throw new PupilError(
      'shape',
      `dumpPythonJson: expected a finite number, got ${value}`,
      'JSON has no NaN or Infinity.',
    );
  }
  if (Object.is(value, -0)) return '-0.0';
  const size = Math.abs(value);
  if (value !== 0 && (size < 1e-4 || size >= 1e16)) {
    const [mantissa, exponent] = value.toExponential().split('e') as [string, string];
    return `${mantissa}e${exponent[0]}${exponent.slice(1).padStart(2, '0')}`;
  }
  const text = String(value);
  return Number.isInteger(value) ? `${text}.0` : text;
}

function stringText(value: string): string {
  // JSON.stringify has already escaped quotes, backslashes, control characters and lone surrogates.
  return JSON.stringify(value).replace(/[\u007f-\uffff]/g, (c) => {
    const code = c.charCodeAt(0);
    return code === 0x7f ? c : `\\u${code.toString(16).padStart(4, '0')}`;
  });
}

/**
 * JSON as `json.dumps(value, indent=indent)` writes it; keys in the order given.
 * @throws PupilError `shape` for a number that is not finite, or a whole number that is not exact
 */
export function dumpPythonJson(value: PythonJson, indent?: number, level = 0): string {
  if (value === null || typeof value === 'boolean') return String(value);
  if (typeof value === 'string') return stringText(value);
  if (value instanceof PythonFloat) return floatText(value.value);
  if (typeof value === 'number') return Number.isSafeInteger(value) ? String(value + 0) : floatText(value);
  const isList = Array.isArray(value);
  const items = isList
    ? (value as readonly PythonJson[]).map((item) => dumpPythonJson(item, indent, level + 1))
    : Object.entries(value).map(([key, item]) => `${stringText(key)}: ${dumpPythonJson(item, indent, level + 1)}`);
  const [open, close] = isList ? ['[', ']'] : ['{', '}'];
  if (items.length === 0) return open + close;
  if (indent === undefined) return open + items.join(', ') + close;
  const pad = '\n' + ' '.repeat(indent * (level + 1));
  return `${open}${pad}${items.join(`,${pad}`)}\n${' '.repeat(indent * level)}${close}`;
}

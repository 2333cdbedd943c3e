// typedNumber.ts: a number as a person typed it. Whether it makes sense is the session's to say.
import { PupilError } from '../../base/errors';

/** Undefined for nothing. @throws PupilError `usage` for what is no number */
export function typedNumber(text: string, name: string, who = 'teacher'): number | undefined {
  const typed = text.trim();
  if (typed === '') return undefined;
  const value = Number(typed);
  if (Number.isFinite(value)) return value;
  throw new PupilError('usage', `${who}: expected a number as ${name}, got ${JSON.stringify(typed.slice(0, 40))}`);
}

// fields.ts: how one setting of an experiment is declared: a valibot schema with title, description, unit and origin, so
// that a form, the JSON Schema and an error message speak from one place. It holds no setting itself.
import * as v from 'valibot';

/** Who chose the default: the paper (arXiv 2405.00402), a work it builds on, or we (the paper is silent). */
export type FieldOrigin = 'paper' | 'QLoRA' | 'Alpaca' | 'trainer default' | 'ours';

/** What a form shows beside the value. `unit` is a word ("tokens", "steps", "pairs"); absent for plain numbers and texts. */
export interface FieldInfo {
  unit?: string;
  origin?: FieldOrigin;
  /** Where the paper (arXiv 2405.00402) says it: "§3.2.1", "App. C.1", "eq. 4". */
  section?: string;
  /** How a text is written in a form: over several lines, or in one with \n for a line break. Absent: as it is. */
  text?: 'lines' | 'escaped';
}

/** A schema with the words a form needs. The title is a label, the description one or two sentences. */
export function field<const S extends v.GenericSchema>(
  schema: S,
  title: string,
  description: string,
  info: FieldInfo = {},
) {
  return v.pipe(schema, v.title(title), v.description(description), v.metadata({ ...info }));
}

/** An integer ≥ least (and ≤ most). JSON numbers only. */
export function integer(least: number, most = Number.MAX_SAFE_INTEGER) {
  return v.pipe(v.number(), v.integer(), v.minValue(least), v.maxValue(most));
}

/** A finite number in [least, most]. */
export function real(least: number, most: number) {
  return v.pipe(v.number(), v.finite(), v.minValue(least), v.maxValue(most));
}

/** A number in (0, most]. */
export function positive(most: number) {
  return v.pipe(v.number(), v.finite(), v.gtValue(0), v.maxValue(most));
}

export const nonEmptyText = v.pipe(v.string(), v.nonEmpty());
export const fileList = v.pipe(v.array(nonEmptyText), v.minLength(1));

/** What every description of a path or a list of files ends with. */
export const pathHint = 'Relative to the experiment file, or starting with {data}/; {seed} stands for the seed.';

// fieldWords.ts: the words of one setting of an experiment, for a form: its title and description as the schema has them.
import * as v from 'valibot';
import { ExperimentSchema } from './schema';

export interface FieldWords {
  title: string;
  description: string;
}

interface Walked {
  entries?: Record<string, Walked>;
  /** Of an optional one. */
  wrapped?: Walked;
}

const bare = (schema: Walked): Walked => (schema.wrapped === undefined ? schema : bare(schema.wrapped));

/** @param path e.g. `student.quantize`. @throws Error where there is no such setting: a slip of whoever calls. */
export function fieldWords(path: string): FieldWords {
  let schema = bare(ExperimentSchema as Walked);
  for (const name of path.split('.')) {
    const next = schema.entries?.[name];
    if (next === undefined) throw new Error(`fieldWords: expected a setting of an experiment, got ${path}`);
    schema = bare(next);
  }
  const field = schema as unknown as v.GenericSchema;
  return { title: v.getTitle(field) ?? path, description: v.getDescription(field) ?? '' };
}

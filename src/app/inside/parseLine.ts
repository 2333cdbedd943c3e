// parseLine.ts: a parsed line against a schema, with what is wrong with it in a few words, the place included. Only that.
import * as v from 'valibot';

type Schema = v.BaseSchema<unknown, unknown, v.BaseIssue<unknown>>;

/** @throws Error: `chosen: Invalid type: Expected Object but received undefined` */
export function parseLine<const Line extends Schema>(schema: Line, value: unknown): v.InferOutput<Line> {
  const { success, output, issues } = v.safeParse(schema, value, { abortEarly: true });
  if (success) return output;
  const [first] = issues!;
  const place = v.getDotPath(first);
  throw new Error(`${place === null ? '' : `${place}: `}${first.message}`);
}

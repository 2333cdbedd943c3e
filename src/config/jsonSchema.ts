// jsonSchema.ts: a valibot schema as JSON Schema, for editors and readers of the files. It declares no setting.
import { toJsonSchema } from '@valibot/to-json-schema';
import type { GenericSchema } from 'valibot';
import type { FieldInfo } from './fields';

/**
 * The JSON Schema (draft 7) of a document as written, defaults optional. Beside the standard keywords a field may carry
 * `x-unit` (its unit), `x-origin` (who chose the default) and `x-section` (where the paper says it).
 */
export function jsonSchemaOf(of: GenericSchema, title: string): Record<string, unknown> {
  const schema = toJsonSchema(of, {
    typeMode: 'input',
    overrideAction({ valibotAction, jsonSchema }) {
      if (valibotAction.type === 'finite') return jsonSchema; // JSON has no other numbers
      if (valibotAction.type !== 'metadata') return undefined;
      const info = (valibotAction as unknown as { metadata: FieldInfo }).metadata;
      return {
        ...jsonSchema,
        ...(info.unit === undefined ? {} : { 'x-unit': info.unit }),
        ...(info.origin === undefined ? {} : { 'x-origin': info.origin }),
        ...(info.section === undefined ? {} : { 'x-section': info.section }),
      };
    },
  });
  return { ...schema, title };
}

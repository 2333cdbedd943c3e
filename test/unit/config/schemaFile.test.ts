// docs/experiment.schema.json is the JSON Schema of experiment files as it stands in the code, for editors and readers.
// After a change of the schema: npx vitest run test/unit/config/schemaFile.test.ts -u
import { expect, it } from 'vitest';
import { experimentJsonSchema } from '../../../src/config/experiment';

it('docs/experiment.schema.json is the schema in src/config', async () => {
  const text = `${JSON.stringify(experimentJsonSchema(), null, 2)}\n`;
  await expect(text).toMatchFileSnapshot('../../../docs/experiment.schema.json');
});

// chapter.ts: a chapter of the lesson as a document: text, formulas, questions for the class and interactive widgets by name. One
// JSON file a chapter, the bundled ones in chapters/ and a teacher's own. It checks the document; it shows nothing.
// docs/chapters.md says how to write one.
import * as v from 'valibot';
import { PupilError } from '../base/errors';
import { LINE, list, PARAGRAPH, text, WIDGETS } from './chapterWidgets';
import { field, integer, real } from './fields';
import { jsonSchemaOf } from './jsonSchema';
import { listProblems, type ConfigProblem } from './problems';

const BlockSchema = v.variant('kind', [
  v.strictObject({ kind: v.literal('text'), text: PARAGRAPH }),
  v.strictObject({ kind: v.literal('list'), items: list(PARAGRAPH, 40), ordered: v.optional(v.boolean(), false) }),
  v.strictObject({ kind: v.literal('formula'), formula: text(500), says: v.exactOptional(PARAGRAPH) }),
  v.strictObject({ kind: v.literal('question'), ask: PARAGRAPH, answer: v.exactOptional(PARAGRAPH) }),
  v.strictObject({ kind: v.literal('example'), text: text(6000), label: v.exactOptional(LINE) }),
  v.strictObject({
    kind: v.literal('table'),
    caption: LINE,
    head: list(v.pipe(v.string(), v.maxLength(300)), 12),
    rows: list(list(v.pipe(v.string(), v.maxLength(1000)), 12), 60),
  }),
  v.variant('widget', WIDGETS),
]);

const webAddress = v.pipe(v.string(), v.url(), v.regex(/^https?:\/\//, 'an address that begins with https://'));

const ReferenceSchema = v.strictObject({
  title: LINE,
  authors: v.exactOptional(LINE),
  year: v.exactOptional(integer(1600, 2200)),
  arxiv: v.exactOptional(
    field(
      v.pipe(v.string(), v.regex(/^\d{4}\.\d{4,5}(v\d+)?$/, 'a number such as 2106.09685')),
      'arXiv',
      'The number.',
    ),
  ),
  url: v.exactOptional(webAddress),
});

export const ChapterSchema = v.strictObject({
  $schema: v.exactOptional(v.string()),
  format: field(v.literal('pupil-chapter'), 'Format', 'Says what this file is.'),
  version: v.literal(1),
  id: field(
    v.pipe(v.string(), v.regex(/^[a-z0-9][a-z0-9-]{0,39}$/, 'small letters, digits and "-", at most 40')),
    'Id',
    'Names the chapter in the address of the page. Keep it when you change the chapter.',
  ),
  order: field(
    real(-1000, 1000),
    'Order',
    'Chapters are listed and numbered by it; the bundled ones have 1 to 5. 2.5 stands between the second and third.',
  ),
  title: field(text(120), 'Title', 'Plain text.'),
  summary: field(LINE, 'Summary', 'One line for the list.'),
  minutes: v.exactOptional(field(integer(1, 180), 'Minutes', 'How long a class takes for it.', { unit: 'min' })),
  author: v.exactOptional(LINE),
  sections: list(v.strictObject({ heading: v.exactOptional(text(120)), blocks: list(BlockSchema, 60) }), 30),
  references: v.optional(v.pipe(v.array(ReferenceSchema), v.maxLength(40, 'at most 40 entries')), []),
});

export type Chapter = v.InferOutput<typeof ChapterSchema>;
export type ChapterSection = Chapter['sections'][number];
export type ChapterBlock = ChapterSection['blocks'][number];
export type ChapterReference = Chapter['references'][number];
export type ChapterWidget = Extract<ChapterBlock, { kind: 'widget' }>;
export type WidgetName = ChapterWidget['widget'];
export type WidgetSettings<Name extends WidgetName> = Extract<ChapterWidget, { widget: Name }>['settings'];

/** What no single field can know. */
function crossProblems(chapter: Chapter): ConfigProblem[] {
  const problems: ConfigProblem[] = [];
  chapter.sections.forEach(({ blocks }, s) =>
    blocks.forEach((block, b) => {
      const path = `sections[${s}].blocks[${b}]`;
      if (block.kind === 'table') {
        block.rows.forEach((row, r) => {
          if (row.length === block.head.length) return;
          problems.push({
            path: `${path}.rows[${r}]`,
            expected: `${block.head.length} cells, as many as the head has`,
            value: String(row.length),
          });
        });
      }
      if (block.kind !== 'widget' || block.widget !== 'dpo-answers') return;
      const { answers, traitNames, chosen, rejected } = block.settings;
      const at = `${path}.settings`;
      answers.forEach(({ traits }, a) => {
        if (traits.length === traitNames.length) return;
        problems.push({
          path: `${at}.answers[${a}].traits`,
          expected: `${traitNames.length} numbers, one for each of traitNames`,
          value: String(traits.length),
        });
      });
      for (const [name, number] of Object.entries({ chosen, rejected })) {
        if (number <= answers.length) continue;
        problems.push({
          path: `${at}.${name}`,
          expected: `an answer from 1 to ${answers.length}`,
          value: String(number),
        });
      }
      if (chosen === rejected) {
        problems.push({ path: `${at}.rejected`, expected: 'another answer than chosen', value: String(rejected) });
      }
    }),
  );
  return problems;
}

/**
 * Checks a chapter and fills in its defaults.
 *
 * @param json the parsed document, or its text.
 * @param name of the file, for the message.
 * @throws PupilError `config` naming every problem as `path: expected …, got …`.
 */
export function parseChapter(json: unknown, name = 'the chapter'): Chapter {
  let document = json;
  if (typeof json === 'string') {
    try {
      document = JSON.parse(json);
    } catch (cause) {
      throw new PupilError(
        'config',
        `parseChapter: expected a JSON document in ${name}, got text that is not JSON (${(cause as Error).message})`,
        'Look at the position named; JSON has no comments and no trailing commas, and a line break in a text is \\n.',
        { cause },
      );
    }
  }
  const result = v.safeParse(ChapterSchema, document);
  const problems = result.success ? crossProblems(result.output) : listProblems(result.issues);
  if (problems.length > 0 || !result.success) {
    throw new PupilError(
      'config',
      `parseChapter: ${problems.length} problem${problems.length === 1 ? '' : 's'} in ${name}\n` +
        problems.map((p) => `  ${p.path}: expected ${p.expected}, got ${p.value}`).join('\n'),
      'docs/chapters.md describes every key. The simplest start is to download a chapter and to change it.',
    );
  }
  return result.output;
}

/** The JSON Schema of a chapter file, for editors that complete and check while one writes. */
export const chapterJsonSchema = (): Record<string, unknown> => jsonSchemaOf(ChapterSchema, 'Pupil chapter');

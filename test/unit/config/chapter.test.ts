// Claims about config/chapter.ts: defaults are filled in, every mistake of a document is named with its path, and the documents of
// docs/ are as the code has them (docs/chapter.schema.json after a change: run with -u).
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { PupilError } from '../../../src/base/errors';
import { chapterJsonSchema, parseChapter } from '../../../src/config/chapter';

type Json = Record<string, unknown>;
const chapter = (changes: Json = {}, blocks: unknown[] = [{ kind: 'text', text: 'Hello.' }]): Json => ({
  format: 'pupil-chapter',
  version: 1,
  id: 'mine',
  order: 6,
  title: 'Mine',
  summary: 'One line.',
  sections: [{ blocks }],
  ...changes,
});

function problems(document: unknown): string {
  try {
    parseChapter(document, 'mine.json');
  } catch (error) {
    expect(error).toBeInstanceOf(PupilError);
    expect((error as PupilError).code).toBe('config');
    expect((error as PupilError).hint).toBeDefined();
    return (error as PupilError).message;
  }
  throw new Error('it was taken');
}

const ANSWERS = [
  { text: 'a', probability: 0.5, traits: [1] },
  { text: 'b', probability: 0.5, traits: [0] },
];

describe('a chapter', () => {
  it('has its defaults filled in', () => {
    const { sections, references } = parseChapter(
      chapter({}, [
        { kind: 'widget', widget: 'nf4-weight' },
        { kind: 'widget', widget: 'lora-fit', settings: { rank: 3 } },
      ]),
    );
    expect(references).toEqual([]);
    expect(sections[0]!.blocks).toEqual([
      { kind: 'widget', widget: 'nf4-weight', settings: { seed: 0, weight: 1 } },
      { kind: 'widget', widget: 'lora-fit', settings: { target: 'few-directions', rank: 3, seed: 0 } },
    ]);
  });

  it('is read from its text, and text that is not JSON is refused with the file’s name', () => {
    expect(parseChapter(JSON.stringify(chapter())).id).toBe('mine');
    expect(problems('{"format": "pupil-chapter",}')).toContain('mine.json');
    expect(problems('{"format": "pupil-chapter",}')).toContain('not JSON');
  });

  it.each<[string, unknown, RegExp]>([
    ['null', null, /\(document\): expected Object, got null/],
    ['an experiment', { name: 'x', student: {} }, /format: expected a value .*, got nothing/],
    ['another version', chapter({ version: 2 }), /version: expected 1, got 2/],
    ['an unknown key', chapter({ titel: 'x' }), /titel: expected no such key \(unknown\), got "x"/],
    ['an id with blanks', chapter({ id: 'My Class' }), /id: expected small letters, digits and "-".*got "My Class"/],
    ['an order in words', chapter({ order: 'last' }), /order: expected number, got "last"/],
    ['an empty title', chapter({ title: '  ' }), /title: expected a text that is not empty, got " {2}"/],
    ['no section', chapter({ sections: [] }), /sections: expected at least one entry, got \[\]/],
    ['a text that is too long', chapter({ title: 'x'.repeat(121) }), /title: expected at most 120 characters/],
    [
      'a reference to a script',
      chapter({ references: [{ title: 'x', url: 'javascript:alert(1)' }] }),
      /references\[0\]\.url: expected an address that begins with https/,
    ],
    [
      'an arXiv address for a number',
      chapter({ references: [{ title: 'x', arxiv: 'https://arxiv.org' }] }),
      /references\[0\]\.arxiv: expected a number such as/,
    ],
    [
      'an unknown block',
      chapter({}, [{ kind: 'video', text: 'x' }]),
      /sections\[0\]\.blocks\[0\]\.kind: expected \("text" \| .*"widget"\), got "video"/,
    ],
    ['a bare text for a block', chapter({}, ['x']), /sections\[0\]\.blocks\[0\]: expected Object, got "x"/],
    [
      'a block with a key of another kind',
      chapter({}, [{ kind: 'text', text: 'x', ask: 'y' }]),
      /blocks\[0\]\.ask: expected no such key/,
    ],
    [
      'an unknown widget',
      chapter({}, [{ kind: 'widget', widget: 'lora' }]),
      /blocks\[0\]\.widget: expected .*"lora-size".*, got "lora"/,
    ],
    [
      'a setting of another widget',
      chapter({}, [{ kind: 'widget', widget: 'dpo-pair', settings: { rank: 2 } }]),
      /settings\.rank: expected no such key/,
    ],
    [
      'a weight that the block has not',
      chapter({}, [{ kind: 'widget', widget: 'nf4-weight', settings: { weight: 65 } }]),
      /settings\.weight: expected <=64, got 65/,
    ],
    [
      'a benchmark that does not exist',
      chapter({}, [
        {
          kind: 'widget',
          widget: 'string-matching',
          settings: { examples: [{ label: 'x', task: 'gsm9k', text: 'x', target: '1' }] },
        },
      ]),
      /examples\[0\]\.task: expected .*"gsm8k"/,
    ],
    [
      'a row that is too short',
      chapter({}, [{ kind: 'table', caption: 'x', head: ['a', 'b'], rows: [['1']] }]),
      /blocks\[0\]\.rows\[0\]: expected 2 cells.*got 1/,
    ],
    [
      'traits without names',
      chapter({}, [
        {
          kind: 'widget',
          widget: 'dpo-answers',
          settings: { traitNames: ['t', 'u'], answers: ANSWERS, chosen: 1, rejected: 2 },
        },
      ]),
      /answers\[0\]\.traits: expected 2 numbers/,
    ],
    [
      'an answer that is not there',
      chapter({}, [
        {
          kind: 'widget',
          widget: 'dpo-answers',
          settings: { traitNames: ['t'], answers: ANSWERS, chosen: 3, rejected: 2 },
        },
      ]),
      /settings\.chosen: expected an answer from 1 to 2, got 3/,
    ],
    [
      'one answer for both',
      chapter({}, [
        {
          kind: 'widget',
          widget: 'dpo-answers',
          settings: { traitNames: ['t'], answers: ANSWERS, chosen: 1, rejected: 1 },
        },
      ]),
      /settings\.rejected: expected another answer than chosen/,
    ],
  ])('is refused with %s', (_, document, said) => {
    expect(problems(document)).toMatch(said);
  });

  it('is told all its problems at once', () => {
    const message = problems(chapter({ id: '', order: null, minutes: 0 }));
    expect(message).toContain('3 problems in mine.json');
    for (const key of ['id:', 'order:', 'minutes:']) expect(message).toContain(key);
  });
});

describe('docs', () => {
  it('chapters.md’s worked example is a chapter', () => {
    const [, example] = /```json\n([\s\S]*?)```/.exec(readFileSync('docs/chapters.md', 'utf8'))!;
    expect(parseChapter(example!).id).toBe('matching-in-our-class');
  });

  it('chapter.schema.json is the schema in src/config', async () => {
    const text = `${JSON.stringify(chapterJsonSchema(), null, 2)}\n`;
    await expect(text).toMatchFileSnapshot('../../../docs/chapter.schema.json');
  });
});

// verbsTeachMapping.test.ts: `pupil teach` on a table of one's own: columns named as pairs or as JSON, or guessed and told, and
// errors that name the columns there are.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { main } from '../../src/cli/program';
import { columnMapping } from '../../src/cli/verbs/teach';
import type { Demonstration } from '../../src/teachers/demonstration';
import { FakeApi } from '../support/fakeApi';
import { startFakeServer, type FakeServer } from '../support/fakeServer';
import { jsonLines, Kept } from './fakeSession';

let folder: string;
let server: FakeServer;
let api: FakeApi;
let prompts: string[];
beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'pupil-mapping-'));
  prompts = [];
  api = new FakeApi({
    fault: () => 'ok',
    now: () => Date.now(),
    longMs: 1e9,
    idOf: (prompt) => {
      prompts.push(prompt);
      return prompt;
    },
    answerTo: () => 'So. The answer is B) cod.',
  });
  server = await startFakeServer(api, 50);
  writeFileSync(
    join(folder, 'guess.csv'),
    'Nr,Question,A,B,Answer\nq1,Who swims?,owl,cod,B\nq2,Who flies?,owl,cod,A\n',
  );
  writeFileSync(join(folder, 'own.csv'), 'no,frage,wahl,loesung\n1,Who swims?,owl|cod,2\n2,Who flies?,owl|cod,1\n');
  writeFileSync(
    join(folder, 'own.jsonl'),
    [
      { frage: 'Who swims?', eins: 'owl', zwei: 'cod', gut: 'B' },
      { frage: 'Who flies?', eins: 'owl', zwei: 'cod', gut: 'A' },
    ]
      .map((row) => JSON.stringify(row))
      .join('\n'),
  );
});
afterEach(async () => {
  await server.close();
  rmSync(folder, { recursive: true, force: true });
});

async function teach(file: string, ...flags: string[]): Promise<{ code: number; out: string; err: string }> {
  const [out, err] = [new Kept(), new Kept()];
  const args = [
    'teach',
    '--task',
    'custom',
    '--files',
    join(folder, file),
    '--base-url',
    server.base,
    '--model',
    'big',
  ];
  const code = await main([...args, ...flags], {}, { out, err });
  return { code, out: out.text, err: err.text };
}
const outFile = (): string => join(folder, 'd.jsonl');
const rows = (): Demonstration[] => jsonLines(readFileSync(outFile(), 'utf8')) as unknown as Demonstration[];

describe('pupil teach on a table of one’s own', () => {
  it.each([
    ['own.csv', 'question=frage,answer=loesung,choices=wahl,id=no'],
    ['own.csv', '{"question": "frage", "target": "loesung", "choices": "wahl", "id": "no"}'],
    ['own.jsonl', ' question = frage , target=gut, choices=eins|zwei'],
    ['own.jsonl', '{"question": "frage", "target": "gut", "choices": ["eins", "zwei"]}'],
  ])('%s with --mapping %s', async (file, mapping) => {
    const { code, err } = await teach(file, '--mapping', mapping, '--out', outFile());
    expect([code, err]).toEqual([0, expect.not.stringContaining('columns, guessed')]);
    expect(prompts.sort()[1]).toContain('Question: Who swims?\nChoices:\nA) owl\nB) cod\nAnswer: Let');
    expect(rows().map(({ target, correct }) => [target, correct])).toEqual([
      ['B', true],
      ['A', false],
    ]);
    if (file === 'own.csv') expect(rows().map(({ itemId }) => itemId)).toEqual(['1', '2']);
  });

  it('without it the guess is told and used', async () => {
    const estimate = await teach('guess.csv', '--estimate');
    expect(estimate.out).toContain('columns, guessed: question in Question; target in Answer; choices in A, B');
    const { code, err } = await teach('guess.csv', '--out', outFile());
    expect([code, err]).toEqual([0, expect.stringContaining('guessed: question in Question')]);
    expect(rows().map(({ target }) => target)).toEqual(['B', 'A']);
    const machine = jsonLines((await teach('guess.csv', '--estimate', '--json')).out)[0]!;
    expect(machine['columns']).toMatchObject({
      mapping: { question: 'Question', target: 'Answer', choices: ['A', 'B'] },
    });
  });

  it.each([
    ['own.csv', 'question=Frage,answer=loesung', 'mapping.question: expected a column', 'no, frage, wahl, loesung'],
    ['own.jsonl', 'question=frage,answer=gut,choices=eins|drei', 'got "drei"', 'frage, eins, zwei, gut'],
    ['own.csv', '{"question": "frage"}', 'mapping.target', ''],
    ['own.csv', '{"question": "frage", "target": "loesung", "more": 1}', 'mapping.more', ''],
    ['own.csv', '{"question"', 'question=COLUMN,answer=COLUMN', ''],
    ['own.csv', 'question', 'question=COLUMN,answer=COLUMN', ''],
    ['own.csv', 'question=frage,frage=no', 'question=COLUMN,answer=COLUMN', ''],
    ['own.csv', 'answer=no,target=no', 'named twice', ''],
    ['own.csv', '', 'question=COLUMN,answer=COLUMN', ''],
  ])('%s with --mapping %s is refused: %s', async (file, mapping, part, columns) => {
    const { code, err } = await teach(file, '--mapping', mapping, '--out', outFile());
    expect([code === 0, err]).toEqual([false, expect.stringContaining(part)]);
    expect(err).toContain(columns);
    expect(api.asked).toHaveLength(0);
  });

  it('what cannot be guessed names the columns, and a benchmark has none to name', async () => {
    const { code, err } = await teach('own.csv', '--out', outFile());
    expect([code === 0, err]).toEqual([false, expect.stringContaining('there are no, frage, wahl, loesung')]);
    const [out, other] = [new Kept(), new Kept()];
    const flags = ['--task', 'lesson-sums', '--files', 'lesson:sums/train?count=2', '--mapping', 'question=a,answer=b'];
    expect(
      await main(['teach', ...flags, '--base-url', server.base, '--model', 'm', '--estimate'], {}, { out, err: other }),
    ).not.toBe(0);
    expect(other.text).toContain('expected the task custom');
  });

  it('commas and equal signs in names go as JSON', () => {
    expect(columnMapping('{"question": "a,b", "target": "c=d"}')).toEqual({ question: 'a,b', target: 'c=d' });
    expect(columnMapping('question=a,answer=c=d')).toEqual({ question: 'a', target: 'c=d' });
  });
});

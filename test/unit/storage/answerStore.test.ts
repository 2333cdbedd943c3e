// answerStore.test.ts: the promises of AnswerStore, kept by memory and by the file of lines (IndexedDB's are tested in the
// browser): what was saved is found, after a crash and a torn line too; no foreign file is written to.
import { appendFileSync, mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { AnswerFile } from '../../../src/storage/answerFile';
import { MemoryAnswerStore, type AnswerStore } from '../../../src/storage/answerStore';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'pupil-answers-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const path = (): string => join(folder, 'deep', 'cache.jsonl');
const AWKWARD = 'a "quoted"\nline, \u2028, 数, \ud83d';

it.each([
  ['memory', () => Promise.resolve<AnswerStore & Partial<AnswerFile>>(new MemoryAnswerStore())],
  ['file', () => AnswerFile.open(path())],
])('%s: finds what was saved, the last of each key, and nothing else', async (_, make) => {
  const store = await make();
  await Promise.all([store.saveAnswer('a', '1'), store.saveAnswer('b', AWKWARD), store.saveAnswer('a', '2')]);
  const found = await store.loadAnswers(['a', 'b', 'c']);
  await store.close?.();
  expect(found).toEqual(
    new Map([
      ['a', '2'],
      ['b', AWKWARD],
    ]),
  );
});

describe('the file', () => {
  const reopened = async (): Promise<Map<string, string>> => {
    const store = await AnswerFile.open(path());
    const found = await store.loadAnswers(['a', 'b', 'c']);
    await store.close();
    return found;
  };

  it('is read again by the next process, wherever a crash tore its last line', async () => {
    const store = await AnswerFile.open(path());
    await store.saveAnswer('a', '1');
    const whole = readFileSync(path()).byteLength;
    await store.saveAnswer('b', '2');
    await store.close();
    const full = readFileSync(path()).byteLength;
    const bytes = readFileSync(path());
    // A line that lacks but its line feed is whole.
    for (let length = whole; length <= full; length++) {
      writeFileSync(path(), bytes);
      truncateSync(path(), length);
      const found = await reopened();
      expect([...found.keys()]).toEqual(length >= full - 1 ? ['a', 'b'] : ['a']);
      const next = await AnswerFile.open(path());
      await next.saveAnswer('c', '3');
      await next.close();
      expect([...(await reopened()).keys()]).toEqual(length >= full - 1 ? ['a', 'b', 'c'] : ['a', 'c']);
    }
  });

  it('passes over damaged lines in the middle', async () => {
    const store = await AnswerFile.open(path());
    await store.saveAnswer('a', '1');
    await store.close();
    appendFileSync(path(), '\u0000\u0000\n{"key":1}\nnull\n{"key":"b","text":"2"}\n');
    expect([...(await reopened())]).toEqual([
      ['a', '1'],
      ['b', '2'],
    ]);
  });

  it('of something else is refused and left as it is', async () => {
    const other = join(folder, 'data.jsonl');
    for (const text of ['{"key":5}\n', '{"question":"1+1"}', '{"question":"1+1"}\n']) {
      writeFileSync(other, text);
      await expect(AnswerFile.open(other)).rejects.toMatchObject({ code: 'format' });
    }
    await expect(AnswerFile.open(folder)).rejects.toMatchObject({ code: 'storage' });
    expect(readFileSync(other, 'utf8')).toBe('{"question":"1+1"}\n');
  });
});

// answerStore.test.ts: a teacher's answers in this browser's IndexedDB: kept over connections, replaced, found among many.
import { expect, it } from 'vitest';
import { IndexedDbAnswerStore } from '../../src/storage/answerIndexedDb';

it('keeps answers by their keys, over a new connection too', async () => {
  const name = `answers-test-${Date.now()}`;
  try {
    const store = new IndexedDbAnswerStore(name);
    expect(await store.loadAnswers(['a'])).toEqual(new Map());
    const keys = Array.from({ length: 2100 }, (_, i) => `key-${i}`); // more than one transaction reads
    await Promise.all(keys.map((key, i) => store.saveAnswer(key, `answer ${i} \u2028 <b>`)));
    await store.saveAnswer('key-7', 'another');
    const found = await new IndexedDbAnswerStore(name).loadAnswers([...keys, 'unknown']);
    expect(found.size).toBe(keys.length);
    expect(found.get('key-2099')).toBe('answer 2099 \u2028 <b>');
    expect(found.get('key-7')).toBe('another');
    expect(found.has('unknown')).toBe(false);
  } finally {
    indexedDB.deleteDatabase(name);
  }
});

// answerStore.ts: where a teacher's answers are kept by the hash of what was asked, so that nothing is asked or paid twice.
// What is in the texts is the teachers' business. The twins: answerFile.ts (a file of lines), answerIndexedDb.ts.

/** What `saveAnswer` has resolved for is found again after a crash. */
export interface AnswerStore {
  /** Those of the keys that are known. */
  loadAnswers(keys: readonly string[]): Promise<Map<string, string>>;
  /** Replaces what was kept under this key. */
  saveAnswer(key: string, text: string): Promise<void>;
}

/** As long as the process lives. */
export class MemoryAnswerStore implements AnswerStore {
  private readonly texts = new Map<string, string>();

  loadAnswers(keys: readonly string[]): Promise<Map<string, string>> {
    return Promise.resolve(pick(this.texts, keys));
  }

  saveAnswer(key: string, text: string): Promise<void> {
    this.texts.set(key, text);
    return Promise.resolve();
  }
}

/** The entries of these keys. */
export function pick(texts: ReadonlyMap<string, string>, keys: readonly string[]): Map<string, string> {
  const found = new Map<string, string>();
  for (const key of keys) {
    const text = texts.get(key);
    if (text !== undefined) found.set(key, text);
  }
  return found;
}

// keySearch.ts: everything that was written and said, searched for a key and its parts. Tests only.
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'vitest';

/** Fails where the key, or a telling part of it, is in a file of the folder or in one of the texts. */
export function expectKeyNowhere(key: string, folder: string, ...texts: string[]): void {
  const files = readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .map((name) => join(folder, name))
    .filter((path) => statSync(path).isFile())
    .map((path) => readFileSync(path, 'utf8'));
  for (const text of [...texts, ...files]) {
    for (const part of [key, encodeURIComponent(key), key.slice(8, 16), key.slice(-10)])
      expect(text).not.toContain(part);
  }
}

// parts.ts: what is held out. Every question has a content: what it asks, apart from its wording. A hash of the content
// alone says which part of the lesson may show it, so that nothing tested was ever trained on in other words.
import { streamId, threefry2x32, unitFloat } from '../../base/random';

/**
 * Where a content may appear. "pretraining": in the corpus only. "train": in demonstrations only, so that the student has
 * not met the questions it is trained on either. "development": to choose settings on. "test": to report.
 */
export type Part = 'pretraining' | 'train' | 'development' | 'test';

/** Shares of all contents, in the order in which the hash is cut. */
export const PART_SHARES: Readonly<Record<Part, number>> = {
  test: 0.25,
  development: 0.1,
  train: 0.15,
  pretraining: 0.5,
};

/** The key under which contents are hashed. Another one would be another lesson: students know the parts of this one. */
const KEY = 0x1e5504;

/** The part that a content belongs to: the same for everybody, always. */
export function partOf(content: string): Part {
  let rest = unitFloat(threefry2x32(KEY, streamId(content), 0, 0)[0]);
  for (const part of Object.keys(PART_SHARES) as Part[]) {
    rest -= PART_SHARES[part];
    if (rest < 0) return part;
  }
  return 'pretraining';
}

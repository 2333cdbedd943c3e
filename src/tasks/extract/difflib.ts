// difflib.ts: SequenceMatcher.ratio of Python's difflib (autojunk on, no junk function), for the scorer `paper-compat`.
// Ratcliff–Obershelp: twice the characters in matching blocks over all characters. It is not symmetric in a and b.

/** Length of b from which difflib ignores characters that make up more than 1 % of it ("popular"). */
const AUTOJUNK_LENGTH = 200;

/** Python: `difflib.SequenceMatcher(None, a, b).ratio()`; characters are code points. 1 for two empty texts. */
export function sequenceRatio(a: string, b: string): number {
  const left = Array.from(a);
  const right = Array.from(b);
  if (left.length + right.length === 0) return 1;

  const placesInB = new Map<string, number[]>();
  right.forEach((character, j) => {
    const places = placesInB.get(character);
    if (places === undefined) placesInB.set(character, [j]);
    else places.push(j);
  });
  if (right.length >= AUTOJUNK_LENGTH) {
    const most = Math.floor(right.length / 100) + 1;
    for (const [character, places] of placesInB) if (places.length > most) placesInB.delete(character);
  }

  let matching = 0;
  const queue: [number, number, number, number][] = [[0, left.length, 0, right.length]];
  for (let next = queue.pop(); next !== undefined; next = queue.pop()) {
    const [aLow, aHigh, bLow, bHigh] = next;
    const [i, j, size] = longestMatch(left, right, placesInB, aLow, aHigh, bLow, bHigh);
    if (size === 0) continue;
    matching += size;
    if (aLow < i && bLow < j) queue.push([aLow, i, bLow, j]);
    if (i + size < aHigh && j + size < bHigh) queue.push([i + size, aHigh, j + size, bHigh]);
  }
  return (2 * matching) / (left.length + right.length);
}

/** The longest block a[i, i+size) = b[j, j+size) in the ranges; of several the first in a, then in b. */
function longestMatch(
  a: readonly string[],
  b: readonly string[],
  placesInB: ReadonlyMap<string, readonly number[]>,
  aLow: number,
  aHigh: number,
  bLow: number,
  bHigh: number,
): [number, number, number] {
  let [bestI, bestJ, bestSize] = [aLow, bLow, 0];
  let lengthEndingAt = new Map<number, number>();
  for (let i = aLow; i < aHigh; i++) {
    const current = new Map<number, number>();
    for (const j of placesInB.get(a[i]!) ?? []) {
      if (j < bLow) continue;
      if (j >= bHigh) break;
      const size = (lengthEndingAt.get(j - 1) ?? 0) + 1;
      current.set(j, size);
      if (size > bestSize) [bestI, bestJ, bestSize] = [i - size + 1, j - size + 1, size];
    }
    lengthEndingAt = current;
  }
  // Popular characters were left out above; a block may still grow over them at both ends.
  while (bestI > aLow && bestJ > bLow && a[bestI - 1] === b[bestJ - 1]) {
    bestI--;
    bestJ--;
    bestSize++;
  }
  while (bestI + bestSize < aHigh && bestJ + bestSize < bHigh && a[bestI + bestSize] === b[bestJ + bestSize])
    bestSize++;
  return [bestI, bestJ, bestSize];
}

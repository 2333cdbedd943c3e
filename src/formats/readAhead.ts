// readAhead.ts: reads in order with a few of them under way, so that disk and network work while what came before is being
// used. It knows no file: a read is any promise. How much is held is the caller's: depth times the largest result.

/**
 * The results of the reads, in their order; at most `depth` are under way or wait, beside the one in use. A read that fails is thrown when its
 * turn comes. Whoever stops early leaves reads behind whose results, and failures, nobody sees.
 */
export async function* readAhead<T>(reads: Iterable<() => Promise<T>>, depth: number): AsyncGenerator<T, void, void> {
  const waiting: Promise<T>[] = [];
  const iterator = reads[Symbol.iterator]();
  let finished = false;
  const fill = (): void => {
    while (!finished && waiting.length < depth) {
      const next = iterator.next();
      if (next.done === true) {
        finished = true;
        return;
      }
      const result = next.value();
      result.catch(() => undefined); // thrown in its turn; never an unhandled rejection
      waiting.push(result);
    }
  };
  fill();
  while (waiting.length > 0) {
    const value = await waiting.shift()!;
    fill();
    yield value;
  }
}

// readLines.ts: a file of JSON lines read in slices, so that the page stays answerable however large it is. A damaged line is
// counted and told, and does not stop the others. What a line means is the caller's business.

export interface ReadLines<Row> {
  rows: Row[];
  damaged: DamagedLines;
}

export interface DamagedLines {
  count: number;
  /** The first of them: line, from 1, and why. */
  examples: { line: number; reason: string }[];
}

export interface ReadLinesOptions {
  /** Told between two slices: the share that is read, in [0, 1]. */
  onShare?: (share: number) => void;
  /** Whether nobody waits for the rest any more. */
  isOver?: () => boolean;
  /** Gives the page its turn; resolves when it has had it. */
  pause?: () => Promise<void>;
  now?: () => number;
}

/** Of work between two turns of the page: far below the 50 ms from which a task counts as long. */
const SLICE_MS = 12;
const EXAMPLES = 5;

/** A turn of the event loop, without the minimum delay that nested timeouts have. */
const turn = (): Promise<void> =>
  new Promise((resolve) => {
    const { port1, port2 } = new MessageChannel();
    port1.onmessage = () => {
      port1.close();
      resolve();
    };
    port2.postMessage(undefined);
  });

/** Does something with each of many, giving the page its turn in between. Ends early where `isOver` became true. */
export async function inSlices<Item>(
  items: readonly Item[],
  work: (item: Item) => void,
  { isOver = () => false, pause = turn, now = () => performance.now() }: ReadLinesOptions = {},
): Promise<void> {
  let sliceStart = now();
  for (const item of items) {
    work(item);
    if (now() - sliceStart < SLICE_MS) continue;
    await pause();
    if (isOver()) return;
    sliceStart = now();
  }
}

/**
 * All rows, in the order of the lines. Blank lines are skipped.
 * @param read the row of a line, by what was parsed and the line's number from 0. What it throws is the line's damage.
 * @returns undefined where `isOver` became true.
 */
export async function readLines<Row>(
  bytes: Uint8Array,
  read: (value: unknown, line: number) => Row,
  { onShare, isOver = () => false, pause = turn, now = () => performance.now() }: ReadLinesOptions = {},
): Promise<ReadLines<Row> | undefined> {
  const decoder = new TextDecoder();
  const out: ReadLines<Row> = { rows: [], damaged: { count: 0, examples: [] } };
  let sliceStart = now();
  for (let start = 0, line = 0; start < bytes.length; line++) {
    const found = bytes.indexOf(10, start);
    const end = found < 0 ? bytes.length : found;
    const text = decoder.decode(bytes.subarray(start, end)).trim();
    start = end + 1;
    if (text !== '') {
      try {
        out.rows.push(read(JSON.parse(text) as unknown, line));
      } catch (error) {
        out.damaged.count++;
        const reason = error instanceof Error ? error.message : String(error);
        if (out.damaged.examples.length < EXAMPLES) out.damaged.examples.push({ line: line + 1, reason });
      }
    }
    if (now() - sliceStart < SLICE_MS) continue;
    onShare?.(start / bytes.length);
    await pause();
    if (isOver()) return undefined;
    sliceStart = now();
  }
  return out;
}

// jsonLines.ts: rows as the bytes of a file of JSON lines, and back. Only that.

export function jsonLines(rows: readonly unknown[]): Uint8Array {
  return new TextEncoder().encode(rows.map((row) => `${JSON.stringify(row)}\n`).join(''));
}

/** The rows of such a file that we wrote; none of one that is not there. */
export function linesOf(bytes: Uint8Array | undefined): unknown[] {
  const lines = new TextDecoder().decode(bytes).split('\n');
  return lines.filter((line) => line !== '').map((line) => JSON.parse(line) as unknown);
}

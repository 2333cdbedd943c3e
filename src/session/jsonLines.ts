// jsonLines.ts: rows as the bytes of a file of JSON lines. Only that.

export function jsonLines(rows: readonly unknown[]): Uint8Array {
  return new TextEncoder().encode(rows.map((row) => `${JSON.stringify(row)}\n`).join(''));
}

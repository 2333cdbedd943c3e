// parquetMagic.ts: how a parquet file is told from others, without reading it. The reader is parquetRead.ts.

/** At the beginning and the end of every parquet file. */
export const PARQUET_MAGIC = 'PAR1';

/** The four bytes at a place, a character each; fewer where the file ends. */
export const wordAt = (bytes: Uint8Array, at: number): string => String.fromCharCode(...bytes.subarray(at, at + 4));

/** Whether a file is to be read as parquet: by its name, or by its first and last four bytes whatever its name. */
export function isParquet(path: string, bytes: Uint8Array): boolean {
  const size = bytes.byteLength;
  return (
    /\.parquet$/i.test(path) ||
    (size >= 12 && wordAt(bytes, 0) === PARQUET_MAGIC && wordAt(bytes, size - 4) === PARQUET_MAGIC)
  );
}

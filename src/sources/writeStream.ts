// writeStream.ts: a file of pieces that are made while it is written. What fails halfway leaves nothing behind.
import type { OpenRoot } from './openRoot';

/**
 * Writes the pieces, in order, as one file.
 * @throws what making or writing a piece throws; then there is no such file, or the one that was there before
 */
export async function writeStream(
  root: Pick<OpenRoot, 'create'>,
  path: string,
  pieces: AsyncIterable<Uint8Array>,
): Promise<void> {
  const writer = await root.create(path);
  try {
    for await (const piece of pieces) await writer.write(piece);
    await writer.close();
  } catch (error) {
    await writer.abort();
    throw error;
  }
}

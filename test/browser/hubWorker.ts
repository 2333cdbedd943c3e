// hubWorker.ts: a worker that reads a model from a hub, as the session's worker does, and answers with what it got. Tests only.
import { openHubRoot, type HubRoot } from '../../src/sources/hub';
import { opfsPieceStore } from '../../src/storage/pieceStoreOpfs';

export interface HubJob {
  root: HubRoot;
  paths: string[];
  inPieces: boolean;
  forget: boolean;
}
export type HubAnswer = { files: Record<string, Uint8Array>; pinned: string } | { error: string };

async function work({ root, paths, inPieces, forget }: HubJob): Promise<HubAnswer> {
  try {
    const pieces = inPieces ? opfsPieceStore({ pieceBytes: 100_000 }) : undefined;
    if (inPieces && pieces === undefined) return { error: 'no OPFS here' };
    const hub = openHubRoot(root, { retryMs: 1, rangeBytes: 200_000, ...(pieces === undefined ? {} : { pieces }) });
    const files: Record<string, Uint8Array> = {};
    for (const path of paths) files[path] = await hub.readBytes(path);
    if (forget) await hub.forgetPieces();
    return { files, pinned: await hub.pinned() };
  } catch (error) {
    const { message, hint } = error as { message: string; hint?: string };
    return { error: `${message} ${hint ?? ''}` };
  }
}

addEventListener('message', (event: MessageEvent<HubJob>) => {
  void work(event.data).then((answer) => postMessage(answer));
});

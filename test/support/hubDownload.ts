// hubDownload.ts: a process that downloads a file from a hub, keeping its pieces, and prints the SHA-256 of what came: to be
// killed. Built and started by test/unit/sources/killedDownload.test.ts.
import { createHash } from 'node:crypto';
import { openHubRoot } from '../../src/sources/hub';
import { diskPieceStore } from '../../src/storage/pieceStoreDisk';

const [endpoint = '', repo = '', folder = '', pieceBytes = ''] = process.argv.slice(2);
const pieces = diskPieceStore(folder, { pieceBytes: Number(pieceBytes) });
const root = openHubRoot({ repo, endpoint }, { pieces, rangeBytes: 4 * Number(pieceBytes) });
const file = await root.open('model.safetensors');
const hash = createHash('sha256');
// As a student's tensors are read: one after the other, at no round place.
const step = 3 * Number(pieceBytes) - 1000;
for (let at = 0; at < file!.size; at += step) hash.update(await file!.read(at, Math.min(file!.size, at + step)));
process.stdout.write(hash.digest('hex'));

// A process that is killed while it downloads: the next one asks only for what is missing, and the file is right to the bit.
import { spawn, type ChildProcess } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { build } from 'vite';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { startHubServer, type HubServer } from '../../support/hubServer';
import { patterned } from '../../support/patterned';

const PIECE = 100_000;
const WEIGHTS = patterned(3_080_000); // 31 pieces, the last one shorter
const SHA = createHash('sha256').update(WEIGHTS).digest('hex');

let folder: string;
let server: HubServer;
const children: ChildProcess[] = [];
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'pupil-killed-download-'));
  await build({
    configFile: false,
    logLevel: 'silent',
    publicDir: false,
    build: { ssr: 'test/support/hubDownload.ts', outDir: join(folder, 'built'), target: 'node20', minify: false },
  });
  server = await startHubServer({ files: { 'model.safetensors': WEIGHTS }, bytesPerSecond: 2_000_000 });
});
afterAll(async () => {
  for (const child of children) child.kill('SIGKILL');
  await server.close();
  rmSync(folder, { recursive: true, force: true });
});

function download(pieces: string): { child: ChildProcess; ended: Promise<string> } {
  const [script = ''] = readdirSync(join(folder, 'built')).filter((name) => /^hubDownload\.m?js$/.test(name));
  const args = [join(folder, 'built', script), server.endpoint, server.repo, pieces, String(PIECE)];
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  children.push(child);
  let out = '';
  child.stdout!.on('data', (part: Buffer) => (out += part.toString()));
  return { child, ended: new Promise((resolve) => child.once('close', () => resolve(out))) };
}

const keptPieces = (pieces: string): number =>
  readdirSync(pieces, { recursive: true, encoding: 'utf8' }).filter((name) => /[/\\]\d+$/.test(name)).length;

for (const share of [0.15, 0.5, 0.85]) {
  it(`killed after ${share * 100} % of the bytes: only what is missing comes again`, async () => {
    const pieces = join(folder, `pieces-${share}`);
    const before = server.sentBytes;
    const first = download(pieces);
    await expect
      .poll(() => server.sentBytes - before, { timeout: 60_000, interval: 5 })
      .toBeGreaterThan(share * WEIGHTS.length);
    first.child.kill('SIGKILL');
    expect(await first.ended).toBe(''); // it was not done
    const kept = keptPieces(pieces);
    // Of what was sent, at most the pieces of two runs under way are lost.
    expect(kept).toBeGreaterThanOrEqual(Math.floor((share * WEIGHTS.length) / PIECE) - 8);
    expect(kept).toBeLessThan(31);
    const [from, sent] = [server.asked.length, server.sentBytes];
    const second = download(pieces);
    expect(await second.ended).toBe(SHA);
    const again = server.sentBytes - sent;
    expect(again).toBeLessThanOrEqual(WEIGHTS.length - kept * PIECE + PIECE);
    expect(again).toBeGreaterThanOrEqual(WEIGHTS.length - kept * PIECE - PIECE);
    // And nothing twice among that.
    const ranges = server.asked.slice(from).flatMap(({ kind, range }) => (kind === 'cdn' ? [range] : []));
    expect(new Set(ranges).size).toBe(ranges.length);
    const third = download(pieces);
    const all = server.sentBytes;
    expect(await third.ended).toBe(SHA);
    expect(server.sentBytes).toBe(all);
  });
}

// node.ts: the benchmark on Dawn in Node, for servers where no browser runs: the same sections and the same peer, the report
// and its text as one line of JSON on stdout. scripts/bench.mjs builds and starts it (`--host node`), with the options, and
// what else the report is to say, as JSON.
import { nodeGpu } from '../src/gpu/node';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DiskCachePlace } from '../src/storage/cacheDisk';
import { runBench, type BenchOptions } from './bench';
import { overHttp } from './overHttp';
import { formatReport, type BenchReport } from './results';

// The peer maps and filters iterators, which Node can from version 22 on.
const iterators = Object.getPrototypeOf(Object.getPrototypeOf([][Symbol.iterator]())) as Record<string, unknown>;
type OfEach = (value: unknown, index: number) => unknown;
iterators['map'] ??= function* (this: Iterable<unknown>, change: OfEach) {
  let index = 0;
  for (const value of this) yield change(value, index++);
};
iterators['filter'] ??= function* (this: Iterable<unknown>, keep: OfEach) {
  let index = 0;
  for (const value of this) if (keep(value, index++)) yield value;
};

const options = JSON.parse(process.argv[2] ?? '{}') as BenchOptions;
const named = JSON.parse(process.argv[3] ?? '{}') as Partial<BenchReport>;
const startedAt = Date.now();
// The peer asks the browser's object; Node 20 has none.
Object.defineProperty(globalThis, 'navigator', {
  value: { gpu: await nodeGpu(), userAgent: `Node ${process.versions.node}` },
  configurable: true,
});
const folder = await mkdtemp(join(tmpdir(), 'pupil-bench-'));
const loadPlaces = {
  name: 'over HTTP on this machine, kept on its disk',
  cache: () => Promise.resolve(new DiskCachePlace(folder)),
  network: overHttp,
};
let code = 0;
try {
  const log = (line: string): void =>
    console.error(`${((Date.now() - startedAt) / 1000).toFixed(1).padStart(6)} s  ${line}`);
  const report = { ...(await runBench({ ...options, loadPlaces, log })), ...named };
  process.stdout.write(`${JSON.stringify({ report, text: formatReport(report) })}\n`);
} catch (error) {
  console.error(error);
  code = 1;
} finally {
  await rm(folder, { recursive: true, force: true });
}
process.exit(code); // Dawn keeps the event loop alive

// hubStudent.test.ts: a checkpoint of two bf16 shards loaded from a hub that fails on the way: the same logits, bit for bit, as
// from a folder on disk; and the whole way through a session: evaluated by name, reported with its commit, token nowhere.
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { RandomStream } from '../../src/base/random';
import { openCheckpoint, type Checkpoint } from '../../src/formats/checkpointIndex';
import { parseModelConfig } from '../../src/formats/modelConfig';
import { inLibraryOrder, writeSafetensors } from '../../src/formats/safetensorsWrite';
import { encodeFloats } from '../../src/formats/tensorBytes';
import type { Gpu } from '../../src/gpu/device';
import { packSequences } from '../../src/model/batch';
import { parameterShapes } from '../../src/model/parameterShapes';
import { Student } from '../../src/model/student';
import { Trainer } from '../../src/model/trainer';
import { openStudent } from '../../src/session/load';
import { RemoteFiles } from '../../src/session/remoteFiles';
import { openFileRoot } from '../../src/sources/fileRoot';
import { openHubRoot } from '../../src/sources/hub';
import { MemoryPieceStore } from '../../src/storage/pieceStore';
import { parseExperiment } from '../../src/config/experiment';
import { testGpu } from '../kernels/device';
import { COMMIT, PASSING_FAULTS, startHubServer, type HubServer } from '../support/hubServer';
import { tinyExperiment, tinyFiles } from '../unit/session/tinyRun';

const TOKEN = 'hf_NeverWrittenDown0123456789';

/** The tiny student in bf16, in two shards. */
function shardedFiles(): Record<string, Uint8Array> {
  const config = tinyFiles()['student/config.json']!;
  const { matrices, vectors } = parameterShapes(
    parseModelConfig(JSON.parse(new TextDecoder().decode(config)) as Record<string, unknown>),
  );
  const tensors = inLibraryOrder(
    [...matrices, ...vectors].map(({ name, shape }) => {
      const random = new RandomStream(9, name);
      const count = shape.reduce((product, size) => product * size, 1);
      const data = Float32Array.from({ length: count }, () =>
        shape.length === 1 ? 1 + 0.1 * random.nextNormal() : 0.08 * random.nextNormal(),
      );
      return { name, dtype: 'bf16' as const, shape, data: encodeFloats(data, 'bf16') };
    }),
  );
  const half = tensors.length >> 1;
  const shards = {
    'model-00001-of-00002.safetensors': tensors.slice(0, half),
    'model-00002-of-00002.safetensors': tensors.slice(half),
  };
  const weightMap = Object.fromEntries(
    Object.entries(shards).flatMap(([file, some]) => some.map(({ name }) => [name, file])),
  );
  return {
    'config.json': config,
    'model.safetensors.index.json': new TextEncoder().encode(JSON.stringify({ weight_map: weightMap })),
    ...Object.fromEntries(
      Object.entries(shards).map(([file, some]) => [file, writeSafetensors(some, { format: 'pt' })]),
    ),
  };
}

let gpu: Gpu;
let server: HubServer;
let folder: string;
const files = shardedFiles();
beforeAll(async () => {
  gpu = await testGpu();
  server = await startHubServer({ files, token: TOKEN, stallMs: 3000 });
  folder = mkdtempSync(join(tmpdir(), 'pupil-hub-student-'));
  mkdirSync(folder, { recursive: true });
  for (const [name, bytes] of Object.entries(files)) writeFileSync(join(folder, name), bytes);
});
afterAll(async () => {
  await server.close();
  rmSync(folder, { recursive: true, force: true });
});

async function logitsOf(checkpoint: Checkpoint, quantize: 'none' | 'nf4-double'): Promise<Float32Array> {
  const student = await Student.load(gpu, checkpoint, { quantize });
  const trainer = new Trainer(student, undefined, { limits: { tokens: 16, targets: 1, sequences: 1 } });
  try {
    await trainer.ready();
    return (await trainer.logits(packSequences([{ ids: [1, 5, 9, 33, 40, 7] }]))).slice();
  } finally {
    trainer.destroy();
    student.destroy();
  }
}

for (const quantize of ['none', 'nf4-double'] as const) {
  it(`logits (6, V) over ${quantize} weights from a failing hub are those from disk, bit for bit`, async () => {
    const disk = openFileRoot({ kind: 'disk', directory: folder });
    const expected = await logitsOf(await openCheckpoint(disk.open, 'disk'), quantize);
    const faults = PASSING_FAULTS.filter((fault) => !['stall', 'no-headers'].includes(fault));
    server.fault = ({ n }) => (n % 3 === 1 ? faults[((n / 3) % faults.length) | 0]! : 'ok');
    const root = openHubRoot(
      { repo: server.repo, endpoint: server.endpoint, token: TOKEN },
      {
        retryMs: 1,
        idleMs: 20_000,
        rangeBytes: 20_000,
        attempts: 8,
        pieces: new MemoryPieceStore({ pieceBytes: 4096 }),
      },
    );
    const found = await logitsOf(await openCheckpoint(root.open, 'hub'), quantize);
    expect(expected.some((x) => x !== 0)).toBe(true);
    expect(Buffer.compare(new Uint8Array(found.buffer), new Uint8Array(expected.buffer))).toBe(0);
    server.fault = () => 'ok';
  });
}

it('a student by its name in an experiment: pinned in the report, its pieces gone once it is loaded, no token anywhere', async () => {
  const pieces = new MemoryPieceStore({ pieceBytes: 4096 });
  const remote = new RemoteFiles(pieces);
  remote.set({ endpoint: server.endpoint, token: TOKEN });
  const student = { source: { kind: 'hub', repo: server.repo }, tokenizer: { kind: 'words', path: 'vocab.json' } };
  const experiment = parseExperiment({ ...tinyExperiment(), student });
  const all = remote.beside(openFileRoot({ kind: 'memory', files: tinyFiles() }));
  const opened = await openStudent(experiment, all);
  expect(opened.report.source).toBe(`hub:${server.repo}@${COMMIT}`);
  (await Student.load(gpu, opened.checkpoint, { quantize: 'none' })).destroy();
  const [name, bytes] = Object.entries(files).find(([path]) => path.endsWith('1-of-00002.safetensors'))!;
  const kept = async (): Promise<boolean> => {
    const file = await all.open(`hub:${server.repo}/${name}`);
    expect(file!.size).toBe(bytes.byteLength);
    const before = server.sentBytes;
    await file!.read(0, bytes.byteLength);
    return server.sentBytes === before;
  };
  await kept();
  expect(await kept()).toBe(true);
  await opened.loaded();
  expect(await kept()).toBe(false);
  expect(JSON.stringify([experiment, opened.report])).not.toContain(TOKEN.slice(3));
});

it('the token goes to the server that it was given for, whatever an experiment names', async () => {
  const other = await startHubServer({ files });
  try {
    const remote = new RemoteFiles();
    remote.set({ endpoint: server.endpoint, token: TOKEN });
    const all = remote.beside(openFileRoot({ kind: 'memory', files: {} }));
    const folderThere = `hub:${encodeURIComponent(other.endpoint)};${other.repo}`;
    expect(await all.readText(`${folderThere}/config.json`)).toContain('hidden_size');
    expect(other.asked.length).toBeGreaterThan(0);
    for (const asked of other.asked) expect(asked.authorization).toBeUndefined();
  } finally {
    await other.close();
  }
});

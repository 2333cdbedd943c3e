// cachedStudents.test.ts: a student that was cached is the same on the GPU to the last bit; it is never half cached, whatever
// fails; damage is found, named and healed from the source; and what is behind a network is not asked again.
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { PupilError } from '../../../src/base/errors';
import type { Experiment } from '../../../src/config/experiment';
import { memorySource, type OpenFile } from '../../../src/formats/byteSource';
import { openCheckpoint, type Checkpoint } from '../../../src/formats/checkpointIndex';
import type { Gpu } from '../../../src/gpu/device';
import { packSequences } from '../../../src/model/batch';
import type { Student } from '../../../src/model/student';
import { Trainer } from '../../../src/model/trainer';
import { filesIn } from '../../../src/recipes/files';
import { loadStudentFolder, loadStudentWeights, openStudent, type OpenedStudent } from '../../../src/session/load';
import type { CacheUse } from '../../../src/session/studentProtocol';
import { readExperiment } from '../../../src/session/taskItems';
import { openFileRoot, type FileRoot } from '../../../src/sources/fileRoot';
import type { CachePlace } from '../../../src/storage/cachePlace';
import { MemoryCachePlace } from '../../../src/storage/cacheMemory';
import { StudentCache } from '../../../src/storage/studentCache';
import { GOLDEN } from '../../golden/files';
import { testGpu } from '../../kernels/device';
import { failingPlace } from '../storage/failingPlace';
import { tinyExperiment, tinyFiles } from './tinyRun';

let gpu: Gpu;
beforeAll(async () => {
  gpu = await testGpu();
});
const students: Student[] = [];
afterEach(() => students.splice(0).forEach((student) => student.destroy()));

const FILES: Record<string, Uint8Array> = {
  ...tinyFiles(),
  'student/tokenizer_config.json': new TextEncoder().encode('{"a": 1}'),
};
const ROOT: FileRoot = { kind: 'memory', files: FILES };

/** The weights with one bit of the embedding changed. */
function otherWeights(): Uint8Array {
  const weights = FILES['student/model.safetensors']!.slice();
  weights[8 + Number(new DataView(weights.buffer).getBigUint64(0, true)) + 1]! ^= 1;
  return weights;
}

function experimentWith(quantize: string, source: unknown = { kind: 'directory', path: 'student' }): Experiment {
  const student = { ...(tinyExperiment()['student'] as object), quantize, source };
  return readExperiment(tinyExperiment({ student }));
}

interface Loaded {
  student: Student;
  opened: OpenedStudent;
  tasks: Set<string>;
  log: string;
}

async function load(
  place: CachePlace,
  experiment: Experiment,
  root: FileRoot = ROOT,
  use: CacheUse | undefined = 'on',
  signal = new AbortController().signal,
): Promise<Loaded> {
  const opened = await openStudent(experiment, openFileRoot(root), { cache: new StudentCache(place), use, root });
  const tasks = new Set<string>();
  const student = await loadStudentWeights(gpu, experiment, opened, ({ task }) => void tasks.add(task), signal);
  students.push(student);
  return { student, opened, tasks, log: opened.notes.map(({ level, message }) => `${level}: ${message}`).join('\n') };
}

/** Everything of a student on the GPU, by name. */
async function bitsOf(student: Student): Promise<Map<string, Uint8Array>> {
  const bits = new Map<string, Uint8Array>();
  const add = async (name: string, tensor: Student['finalNorm']): Promise<void> => {
    bits.set(name, new Uint8Array(await gpu.read(tensor)));
  };
  await add('embedding', student.embedding.data);
  await add('head', student.head.data);
  await add('norm', student.finalNorm);
  for (const [i, layer] of student.layers.entries()) {
    await add(`${i} input norm`, layer.inputNorm);
    await add(`${i} attention norm`, layer.postAttentionNorm);
    for (const [name, weight] of Object.entries(layer.linear)) {
      if (weight.kind !== 'nf4') await add(`${i} ${name}`, weight.data);
      else {
        await add(`${i} ${name} packed`, weight.packed);
        await add(`${i} ${name} absmax`, weight.absmax);
        if (weight.nested !== undefined) await add(`${i} ${name} nested`, weight.nested);
      }
    }
  }
  return bits;
}

async function logitsOf(student: Student): Promise<Float32Array> {
  const trainer = new Trainer(student, undefined, {
    limits: { tokens: 16, targets: 16, sequences: 1 },
    scoringOnly: true,
  });
  try {
    await trainer.ready();
    return await trainer.logits(packSequences([{ ids: [1, 5, 9, 13, 17, 21] }]));
  } finally {
    trainer.destroy();
  }
}

const keysIn = (place: MemoryCachePlace): string[] => [...place.entries.keys()];

async function onlyEntry(place: MemoryCachePlace): Promise<Map<string, Uint8Array>> {
  expect(await new StudentCache(place).list()).toHaveLength(1);
  return place.entries.get(keysIn(place)[0]!)!;
}

describe('the second load', () => {
  it.each(['nf4-double', 'nf4', 'none'])(
    'of a %s student has the same bits on the GPU, and says whence',
    async (quantize) => {
      const place = new MemoryCachePlace();
      const experiment = experimentWith(quantize);
      const first = await load(place, experiment);
      expect([...first.tasks]).toEqual(['Loading student']);
      expect(first.log).toContain('cached in memory as');
      const second = await load(place, experiment);
      expect([...second.tasks]).toEqual(['Loading student from the cache']);
      expect(second.log).toContain('info: student: from the cache of memory');
      const [before, after] = [await bitsOf(first.student), await bitsOf(second.student)];
      expect([...after.keys()]).toEqual([...before.keys()]);
      for (const [name, bits] of before) expect(after.get(name), name).toEqual(bits);
      expect(await logitsOf(second.student)).toEqual(await logitsOf(first.student));
      // What a run records of its student, and what an adapter's note is held against, is the same.
      expect(second.student.quantization).toBe(quantize);
      expect(second.opened.report).toEqual(first.opened.report);
      expect(second.opened.config).toEqual(first.opened.config);
    },
  );

  it('of a pre-quantised checkpoint has the same bits: the entry of an entry', async () => {
    const place = new MemoryCachePlace();
    await load(place, experimentWith('nf4-double'));
    const entry = await onlyEntry(place);
    const files = { 'vocab.json': FILES['vocab.json'] } as Record<string, Uint8Array>;
    for (const [path, bytes] of entry) files[`student/${path}`] = bytes;
    const [other, experiment] = [new MemoryCachePlace(), experimentWith('none')];
    const root: FileRoot = { kind: 'memory', files };
    const first = await load(other, experiment, root);
    const second = await load(other, experiment, root);
    expect([...second.tasks]).toEqual(['Loading student from the cache']);
    const [before, after] = [await bitsOf(first.student), await bitsOf(second.student)];
    for (const [name, bits] of before) expect(after.get(name), name).toEqual(bits);
    expect((await onlyEntry(other)).get('model.safetensors')).toEqual(entry.get('model.safetensors'));
  });
});

describe('the entry', () => {
  it('is a checkpoint that others read: config, weights, and the files beside them', async () => {
    const place = new MemoryCachePlace();
    await load(place, experimentWith('nf4-double'));
    const entry = await onlyEntry(place);
    expect([...entry.keys()].sort()).toEqual([
      'config.json',
      'manifest.json',
      'model.safetensors',
      'tokenizer_config.json',
    ]);
    const checkpoint = await openCheckpoint((path) => {
      const bytes = entry.get(path);
      return Promise.resolve(bytes === undefined ? undefined : memorySource(path, bytes));
    });
    expect(checkpoint.config['quantization_config']).toMatchObject({
      quant_method: 'bitsandbytes',
      load_in_4bit: true,
    });
    const stored = Array.from(checkpoint.tensorNames).filter((name) => name.includes('layers.1.mlp.up_proj'));
    expect(stored.map((name) => name.replace('model.layers.1.mlp.up_proj.weight', '')).sort()).toEqual([
      '',
      '.absmax',
      '.nested_absmax',
      '.nested_quant_map',
      '.quant_map',
      '.quant_state.bitsandbytes__nf4',
    ]);
    const state = JSON.parse(
      new TextDecoder().decode(
        await checkpoint.readBytes('model.layers.1.mlp.up_proj.weight.quant_state.bitsandbytes__nf4'),
      ),
    ) as object;
    expect(state).toMatchObject({ quant_type: 'nf4', blocksize: 64, dtype: 'float32', nested_blocksize: 256 });
  });

  it('is another one for another quantisation, another student, another version of its files; else the same', async () => {
    const place = new MemoryCachePlace();
    await load(place, experimentWith('nf4-double'));
    await load(place, experimentWith('nf4'));
    await load(place, experimentWith('none'));
    expect(keysIn(place)).toHaveLength(3);
    const changed = { ...FILES, 'student/model.safetensors': otherWeights() };
    await load(place, experimentWith('nf4'), { kind: 'memory', files: changed });
    expect(keysIn(place)).toHaveLength(4);
    await load(place, { ...experimentWith('nf4'), seed: 99, name: 'Other' });
    await load(place, experimentWith('nf4'), { kind: 'memory', files: changed });
    expect(keysIn(place)).toHaveLength(4);
  });
});

describe('what is cached when nothing is said', () => {
  it('a bundled student and one on a disk are not', async () => {
    const place = new MemoryCachePlace();
    await load(place, experimentWith('nf4'), ROOT, 'auto');
    const bundled = Object.fromEntries(Object.entries(FILES).map(([path, bytes]) => [`students/${path}`, bytes]));
    const experiment = experimentWith('nf4', { kind: 'bundled', name: 'student' });
    await load(place, experiment, { kind: 'memory', files: { ...FILES, ...bundled } }, 'auto');
    expect(keysIn(place)).toHaveLength(0);
  });

  it('off neither reads nor writes, refresh replaces', async () => {
    const place = new MemoryCachePlace();
    const experiment = experimentWith('nf4');
    await load(place, experiment, ROOT, 'off');
    expect(keysIn(place)).toHaveLength(0);
    await load(place, experiment);
    const before = (await new StudentCache(place).list())[0]!;
    await new Promise((resolve) => setTimeout(resolve, 5));
    expect([...(await load(place, experiment, ROOT, 'off')).tasks]).toEqual(['Loading student']);
    expect([...(await load(place, experiment, ROOT, 'refresh')).tasks]).toEqual(['Loading student']);
    const after = (await new StudentCache(place).list())[0]!;
    expect(after.key).toBe(before.key);
    expect(after.madeAt! > before.madeAt!).toBe(true);
  });
});

describe('damage', () => {
  /** One flipped bit in the middle of each tensor of the weights' file, and in each other file. */
  it('of any tensor or file is found by name, the entry replaced from the source, and the numbers are right', async () => {
    const place = new MemoryCachePlace();
    const experiment = experimentWith('nf4-double');
    const right = await logitsOf((await load(place, experiment)).student);
    const entry = await onlyEntry(place);
    const weights = entry.get('model.safetensors')!;
    const headerBytes = Number(new DataView(weights.buffer, weights.byteOffset).getBigUint64(0, true));
    const header = JSON.parse(new TextDecoder().decode(weights.subarray(8, 8 + headerBytes))) as Record<
      string,
      { data_offsets: [number, number] }
    >;
    const kinds = /embed_tokens|^model\.norm|layers\.1\.(input_layernorm|post_att|self_attn\.k_proj|mlp\.down_proj)/;
    const places: [path: string, part: string, at: number][] = Object.entries(header)
      .filter(([name]) => kinds.test(name))
      .map(
        ([
          name,
          {
            data_offsets: [from, to],
          },
        ]) => ['model.safetensors', `"${name}"`, 8 + headerBytes + ((from + to) >> 1)],
      );
    expect(places).toHaveLength(2 + 2 + 2 * 6);
    places.push(['model.safetensors', 'header', 20], ['config.json', 'config.json', 30]);
    for (const [path, part, at] of places) {
      place.entries.get(keysIn(place)[0]!)!.get(path)![at]! ^= 4;
      const found = await new StudentCache(place).verify(keysIn(place)[0]!);
      expect(found.problems).toHaveLength(1);
      expect(found.problems[0]).toContain(path);
      expect(found.problems[0]).toContain(part);
      const again = await load(place, experiment);
      expect(again.log).toMatch(/warning: student cache: the cached student is damaged .*it was deleted/);
      expect(again.log).toContain(part);
      expect(await logitsOf(again.student)).toEqual(right);
      expect([...(await load(place, experiment)).tasks]).toEqual(['Loading student from the cache']);
      students.splice(0).forEach((student) => student.destroy());
    }
  });

  it('a weights file that was cut off or is gone is loaded from its source again', async () => {
    const place = new MemoryCachePlace();
    const experiment = experimentWith('nf4');
    await load(place, experiment);
    const key = keysIn(place)[0]!;
    const whole = place.entries.get(key)!.get('model.safetensors')!;
    place.entries.get(key)!.set('model.safetensors', whole.subarray(0, whole.length - 1));
    const cut = await load(place, experiment);
    expect(cut.log).toContain(`expected a file of ${whole.length} bytes, it has ${whole.length - 1}`);
    place.entries.get(key)!.delete('model.safetensors');
    expect((await load(place, experiment)).log).toContain('there is none');
    expect([...(await load(place, experiment)).tasks]).toEqual(['Loading student from the cache']);
  });
});

describe('a student is cached whole or not at all', () => {
  it('where the n-th write fails, for every n: it loads, it says why, nothing is left, and the next time it works', async () => {
    const experiment = experimentWith('nf4');
    const full = (): Error => new PupilError('storage-full', 'no room', 'Delete something.');
    const counted = failingPlace(new MemoryCachePlace(), Infinity, full);
    const right = await logitsOf((await load(counted.place, experiment)).student);
    const writes = counted.writes();
    expect(writes).toBeGreaterThan(60);
    for (let n = 1; n <= writes; n++) {
      const place = new MemoryCachePlace();
      const loaded = await load(failingPlace(place, n, full).place, experiment);
      expect(loaded.log, `write ${n}`).toMatch(
        /warning: student cache: the student is not cached: no room; the whole student needs [\d.]+ [KM]iB Free some disk space/,
      );
      expect([...loaded.tasks]).toEqual(['Loading student']);
      expect(keysIn(place), `write ${n}`).toEqual([]);
      if (n % 20 === 1 || n === writes) {
        expect(await logitsOf(loaded.student)).toEqual(right);
        expect((await load(place, experiment)).log).toContain('cached in memory');
        const other = await load(failingPlace(place, 9, full).place, experimentWith('none'));
        expect(other.log).toMatch(/Delete cached students that are no longer needed: student \(\d+ KiB\)/);
        expect(keysIn(place)).toHaveLength(1);
      }
      students.splice(0).forEach((student) => student.destroy());
    }
  });

  it('a load that is stopped leaves nothing, and gives the lock back', async () => {
    const place = new MemoryCachePlace();
    const experiment = experimentWith('nf4');
    const stop = new AbortController();
    const opened = await openStudent(experiment, openFileRoot(ROOT), {
      cache: new StudentCache(place),
      use: 'on',
      root: ROOT,
    });
    const stopped = loadStudentWeights(gpu, experiment, opened, () => stop.abort(), stop.signal);
    await expect(stopped).rejects.toMatchObject({ code: 'cancelled' });
    expect(keysIn(place)).toEqual([]);
    expect((await load(place, experiment)).log).toContain('cached in memory');
  });

  it('where room is short it says how much is missing and what could go', async () => {
    const roomy = new MemoryCachePlace(4 * 2 ** 20);
    await load(roomy, experimentWith('nf4'));
    const small = new MemoryCachePlace(2 ** 20 + 2 ** 17);
    small.entries.set(keysIn(roomy)[0]!, [...roomy.entries.values()][0]!);
    const second = await load(small, experimentWith('none'));
    expect(second.log).toMatch(/expected room for \d.*are missing Delete cached students .*: student \(\d+ KiB\)/);
    expect(keysIn(small)).toHaveLength(1);
  });

  it('where another tab writes it, it loads and says so', async () => {
    const place = new MemoryCachePlace();
    const experiment = experimentWith('nf4');
    await load(place, experiment);
    const key = keysIn(place)[0]!;
    const release = await place.lock(key, 'exclusive');
    const second = await load(place, experiment);
    expect(second.log).toContain('another tab or process is writing it');
    expect([...second.tasks]).toEqual(['Loading student']);
    release!();
    expect([...(await load(place, experiment)).tasks]).toEqual(['Loading student from the cache']);
  });
});

describe('a student behind a network', () => {
  let server: Server;
  let base: string;
  let requests: string[] = [];
  let served: Record<string, Uint8Array> = FILES;
  beforeAll(async () => {
    server = createServer((request, response) => {
      requests.push(request.url ?? '');
      const bytes = served[`student/${(request.url ?? '').replace(/^\/m\//, '')}`];
      if (bytes === undefined) return void response.writeHead(404).end();
      const [, from = '0', to = ''] = /bytes=(\d+)-(\d*)/.exec(request.headers.range ?? '') ?? [];
      const end = Math.min(bytes.length - 1, to === '' ? Infinity : Number(to));
      const headers = {
        'content-range': `bytes ${from}-${end}/${bytes.length}`,
        etag: bytes === FILES['student/model.safetensors'] ? '"one"' : '"two"',
      };
      response.writeHead(206, headers).end(bytes.subarray(Number(from), end + 1));
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    base = `http://127.0.0.1:${(server.address() as AddressInfo).port}/m`;
  });
  afterAll(() => server.close());
  afterEach(() => {
    served = FILES;
    requests = [];
  });

  const remote = (query = ''): Experiment => experimentWith('nf4-double', { kind: 'url', url: base + query });

  it('is cached unasked, and the second time the network is not asked once', async () => {
    const place = new MemoryCachePlace();
    const first = await load(place, remote(), ROOT, undefined);
    expect(requests.length).toBeGreaterThan(10);
    // The tokenizer's files come once, for the tokenizer and the cache together.
    expect(requests.filter((url) => url.endsWith('tokenizer_config.json')).length).toBeLessThanOrEqual(2);
    requests = [];
    const second = await load(place, remote(), ROOT, undefined);
    expect(requests).toEqual([]);
    expect([...second.tasks]).toEqual(['Loading student from the cache']);
    expect(second.opened.report).toEqual(first.opened.report);
    expect(await logitsOf(second.student)).toEqual(await logitsOf(first.student));
  });

  it('leaves no token in the cache', async () => {
    const place = new MemoryCachePlace();
    const loaded = await load(place, remote('/?token=sesame#part'), ROOT, undefined);
    for (const files of place.entries.values()) {
      for (const bytes of files.values()) expect(new TextDecoder().decode(bytes)).not.toContain('sesame');
    }
    expect(loaded.log).not.toContain('sesame');
    expect((await new StudentCache(place).list())[0]!.source).toBe(`${base}/`);
  });

  it('that was fetched anew takes the place of the one before, and is the one found from then on', async () => {
    const place = new MemoryCachePlace();
    await load(place, remote(), ROOT, undefined);
    const [key] = keysIn(place);
    served = { ...FILES, 'student/model.safetensors': otherWeights() };
    const fresh = await load(place, remote(), ROOT, 'refresh');
    expect(keysIn(place)).toHaveLength(1);
    expect(keysIn(place)[0]).not.toBe(key);
    const second = await load(place, remote(), ROOT, undefined);
    expect(second.opened.report.fingerprint).toBe(fresh.opened.report.fingerprint);
    expect([...second.tasks]).toEqual(['Loading student from the cache']);
  });

  it('whose entry is damaged while its source has changed is not mixed up', async () => {
    const place = new MemoryCachePlace();
    await load(place, remote(), ROOT, undefined);
    const opened = await openStudent(remote(), openFileRoot(ROOT), {
      cache: new StudentCache(place),
      use: undefined,
      root: ROOT,
    });
    const weights = (await onlyEntry(place)).get('model.safetensors')!;
    weights[weights.length - 1]! ^= 1;
    served = { ...FILES, 'student/model.safetensors': otherWeights() };
    const loading = loadStudentWeights(gpu, remote(), opened, () => undefined, new AbortController().signal);
    const outcome = await loading.then(
      () => 'loaded',
      (error: unknown) => (error as PupilError).code,
    );
    expect(outcome).toBe('checkpoint');
    const again = await load(place, remote(), ROOT, undefined);
    expect(again.opened.report.fingerprint).not.toBe(opened.report.fingerprint);
  });
});

it('the entry of a golden student is what bitsandbytes wrote of it: names, dtypes, shapes, bytes, and keys of its JSON', async () => {
  const golden = (path: string): OpenFile => filesIn(openFileRoot({ kind: 'disk', directory: GOLDEN }), path);
  const place = new MemoryCachePlace();
  const root: FileRoot = { kind: 'disk', directory: GOLDEN };
  await loadStudentFolder(gpu, openFileRoot(root), 'llama-tiny', 'nf4-double', {
    cache: new StudentCache(place),
    use: 'on',
    root,
  }).then((student) => students.push(student));
  const entry = await onlyEntry(place);
  const ours = await openCheckpoint((path) => Promise.resolve(entry.get(path) && memorySource(path, entry.get(path)!)));
  const theirs = await openCheckpoint(golden('qlora-llama-tiny-double/hf_bnb4bit'));
  expect(Array.from(ours.tensorNames).sort()).toEqual(Array.from(theirs.tensorNames).sort());
  const text = async (checkpoint: Checkpoint, name: string): Promise<Record<string, unknown>> =>
    JSON.parse(new TextDecoder().decode(await checkpoint.readBytes(name))) as Record<string, unknown>;
  for (const name of theirs.tensorNames) {
    if (name.includes('quant_state')) {
      const [our, their] = [await text(ours, name), await text(theirs, name)];
      expect(Object.keys(our)).toEqual(Object.keys(their));
      expect(our, name).toEqual(their);
      continue;
    }
    const { dtype, shape } = theirs.info(name);
    expect(ours.info(name), name).toMatchObject({ dtype, shape });
    expect(Buffer.compare(await ours.readBytes(name), await theirs.readBytes(name)), name).toBe(0);
  }
  expect(ours.config['quantization_config']).toEqual(theirs.config['quantization_config']);
});

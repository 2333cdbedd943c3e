// cachedStudents.test.ts: a student that was cached is the same on the GPU to the last bit; it is never half cached, whatever
// fails; damage is found, named and healed from the source. Students behind a network are cachedRemote.test.ts.
import { afterEach, beforeAll, describe, expect, it } from 'vitest';
import { PupilError } from '../../../src/base/errors';
import { memorySource, type OpenFile } from '../../../src/formats/byteSource';
import { openCheckpoint, type Checkpoint } from '../../../src/formats/checkpointIndex';
import { filesIn } from '../../../src/recipes/files';
import { loadStudentFolder, loadStudentWeights, openStudent } from '../../../src/session/load';
import { openFileRoot, type FileRoot } from '../../../src/sources/fileRoot';
import { MemoryCachePlace } from '../../../src/storage/cacheMemory';
import { StudentCache } from '../../../src/storage/studentCache';
import { GOLDEN } from '../../golden/files';
import { failingPlace } from '../storage/failingPlace';
import {
  acquire,
  bitsOf,
  experimentWith,
  FILES,
  gpu,
  keysIn,
  load,
  logitsOf,
  onlyEntry,
  otherWeights,
  release,
  ROOT,
  students,
} from './cachedLoads';

beforeAll(acquire);
afterEach(release);

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
      release();
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
      release();
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

// cachedFamilies.test.ts: students of every family through the cache: the second load has the same bits on the GPU, biases and
// norms included, and what was kept of them are the stored bytes. What holds of any cached student is cachedStudents.test.ts.
import { afterEach, beforeAll, describe, expect, it } from 'vitest';
import { openCheckpoint } from '../../../src/formats/checkpointIndex';
import { memorySource } from '../../../src/formats/byteSource';
import type { FileRoot } from '../../../src/sources/fileRoot';
import { MemoryCachePlace } from '../../../src/storage/cacheMemory';
import { familyFiles, FAMILY_NAMES, ONE_OF_EACH, storedTensors } from '../../golden/familyFiles';
import { acquire, bitsOf, experimentWith, FILES, load, logitsOf, onlyEntry, release } from './cachedLoads';

beforeAll(acquire);
afterEach(release);

/** As many words as the smallest embedding has rows. */
const WORDS = new TextEncoder().encode(
  JSON.stringify((JSON.parse(new TextDecoder().decode(FILES['vocab.json'])) as string[]).slice(0, 256)),
);

const isLong = process.env['PUPIL_TEST_LONG'] !== undefined;

// One student of each family; all of them, in every form, where all tests run.
describe.each(isLong ? FAMILY_NAMES : ONE_OF_EACH)('%s', (name) => {
  const files = { ...familyFiles(name), 'vocab.json': WORDS };
  const root: FileRoot = { kind: 'memory', files };

  // The form that keeps most, always.
  const forms = isLong ? ['none', 'nf4', 'nf4-double'] : ['nf4-double'];
  it.each(forms)('as %s: the second load has the same bits', async (quantize) => {
    const place = new MemoryCachePlace();
    const experiment = experimentWith(quantize);
    const first = await load(place, experiment, root);
    expect(first.log).toContain('cached in memory as');
    const second = await load(place, experiment, root);
    expect([...second.tasks]).toEqual(['Loading student from the cache']);
    const [before, after] = [await bitsOf(first.student), await bitsOf(second.student)];
    expect([...after.keys()]).toEqual([...before.keys()]);
    const { config } = first.student;
    expect(
      [...before.keys()].filter((one) => /^\d+ (query|key|attentionBranch|feedForwardBranch)$/.test(one)),
    ).toHaveLength(config.layers * ((config.qkNorms ? 2 : 0) + (config.branchNorms ? 2 : 0)));
    for (const [one, bits] of before) expect(Buffer.compare(after.get(one)!, bits), one).toBe(0);
    expect(second.opened.config).toEqual(first.opened.config);
    expect(second.opened.report).toEqual(first.opened.report);
    if (quantize === 'nf4-double') expect(await logitsOf(second.student)).toEqual(await logitsOf(first.student));

    // The entry has every vector and the embedding as the source stores them: for a norm of 1 + w, w.
    const entry = await onlyEntry(place);
    const kept = await openCheckpoint((path) =>
      Promise.resolve(entry.has(path) ? memorySource(path, entry.get(path)!) : undefined),
    );
    let compared = 0;
    for (const { name: tensor, dtype, shape, data } of await storedTensors(files)) {
      if (quantize !== 'none' && tensor.startsWith('model.layers.') && shape.length === 2) continue;
      expect(kept.info(tensor)).toMatchObject({ dtype, shape });
      expect(Buffer.compare(await kept.readBytes(tensor), data as Uint8Array), tensor).toBe(0);
      compared++;
    }
    expect(compared).toBeGreaterThanOrEqual(2 + 2 * config.layers);
  });
});

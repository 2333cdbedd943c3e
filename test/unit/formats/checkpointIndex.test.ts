// Claims about formats/checkpointIndex.ts: one file or shards read the same; every way in which a folder can be incomplete
// or contradictory is named.
import { describe, expect, it } from 'vitest';
import type { ByteSource } from '../../../src/formats/byteSource';
import { openCheckpoint } from '../../../src/formats/checkpointIndex';
import { writeSafetensors, type TensorData } from '../../../src/formats/safetensorsWrite';
import { bytesAt, DATA, expectRefusal, folderOf, GOLDEN, openFolder, text } from './files';

const tensor = (name: string, ...values: number[]): TensorData => {
  return { name, dtype: 'f32', shape: [values.length], data: Float32Array.from(values) };
};
/** A config that the engine accepts; what it says of sizes is held against tensors when a student is loaded. */
const CONFIG = {
  model_type: 'llama',
  hidden_size: 8,
  num_hidden_layers: 1,
  num_attention_heads: 2,
  intermediate_size: 8,
  vocab_size: 8,
  max_position_embeddings: 8,
  rms_norm_eps: 1e-5,
};
const A = 'model-00001-of-00002.safetensors';
const B = 'model-00002-of-00002.safetensors';
const INDEX = 'model.safetensors.index.json';
const sharded = (changes: Record<string, Uint8Array | object | undefined> = {}) => {
  const files: Record<string, Uint8Array | object | undefined> = {
    'config.json': CONFIG,
    [INDEX]: { metadata: { total_size: 12 }, weight_map: { x: A, y: B, z: B } },
    [A]: writeSafetensors([tensor('x', 1)]),
    [B]: writeSafetensors([tensor('y', 2), tensor('z', 3)]),
    ...changes,
  };
  const present = Object.entries(files).filter((pair): pair is [string, Uint8Array | object] => pair[1] !== undefined);
  return folderOf(Object.fromEntries(present));
};

describe('openCheckpoint', () => {
  it('llama-tiny: config, names, shapes and values of a single file', async () => {
    const checkpoint = await openCheckpoint(openFolder(`${GOLDEN}/llama-tiny`), 'llama-tiny');
    expect(checkpoint.config['hidden_size']).toBe(64);
    expect(checkpoint.tensorNames).toHaveLength(21);
    expect(checkpoint.totalBytes).toBe(527_616);
    expect(checkpoint.info('lm_head.weight')).toMatchObject({ dtype: 'f32', shape: [256, 64], sizeBytes: 65_536 });
    const values = await checkpoint.readF32('model.norm.weight');
    const bytes = await checkpoint.readBytes('model.norm.weight', 0, 4);
    expect(new DataView(bytes.slice().buffer).getFloat32(0, true)).toBe(values[0]);
  });

  it('shards read as one checkpoint', async () => {
    const checkpoint = await openCheckpoint(sharded());
    expect(checkpoint.files).toEqual([A, B]);
    expect(checkpoint.tensorNames.toSorted()).toEqual(['x', 'y', 'z']);
    expect(Array.from(await checkpoint.readF32('z'))).toEqual([3]);
    expect(Array.from(await checkpoint.readNumbers('x'))).toEqual([1]);
    expect(checkpoint.has('w')).toBe(false);
    await expectRefusal(() => checkpoint.readF32('w'), 'checkpoint', 'checkpoint', '"w"');
  });

  it('a single file is preferred to an index, as in transformers', async () => {
    const open = sharded({ 'model.safetensors': writeSafetensors([tensor('only', 7)]) });
    expect((await openCheckpoint(open)).tensorNames).toEqual(['only']);
  });

  it('only lm_head.weight stored for tied embeddings: it is the embedding', async () => {
    const head = writeSafetensors([tensor('lm_head.weight', 5, 6)]);
    const open = (tied: boolean) =>
      openCheckpoint(folderOf({ 'config.json': { ...CONFIG, tie_word_embeddings: tied }, 'model.safetensors': head }));
    const checkpoint = await open(true);
    expect(checkpoint.tensorNames).toEqual(['model.embed_tokens.weight']);
    expect(Array.from(await checkpoint.readF32('model.embed_tokens.weight'))).toEqual([5, 6]);
    expect(checkpoint.info('model.embed_tokens.weight').shape).toEqual([2]);
    expect((await open(false)).tensorNames).toEqual(['lm_head.weight']);
  });

  it('a family that ties embeddings unless told otherwise is read so', async () => {
    const config = { ...CONFIG, model_type: 'gemma2', num_key_value_heads: 1 };
    const head = writeSafetensors([tensor('lm_head.weight', 5, 6)]);
    const checkpoint = await openCheckpoint(folderOf({ 'config.json': config, 'model.safetensors': head }));
    expect(checkpoint.tensorNames).toEqual(['model.embed_tokens.weight']);
  });

  it('an unsupported architecture is refused before a weights file is opened', async () => {
    const opened: string[] = [];
    const inner = sharded({ 'config.json': { ...CONFIG, model_type: 'phi3' } });
    const open = (path: string) => {
      opened.push(path);
      return inner(path);
    };
    await expectRefusal(() => openCheckpoint(open, 'folder'), 'checkpoint', 'phi3', '"llama"', '"qwen3"');
    expect(opened).toEqual(['config.json']);
  });

  const refusals: [string, Record<string, Uint8Array | object | undefined>, 'checkpoint' | 'format', string[]][] = [
    ['no config', { 'config.json': undefined }, 'checkpoint', ['config.json']],
    ['config that is a list', { 'config.json': [1] }, 'format', ['config.json', 'object']],
    ['config that is a web page', { 'config.json': text('<html></html>') }, 'format', ['config.json', 'HTML']],
    ['config with a key twice', { 'config.json': text('{"a":1,"a":2}') }, 'format', ['config.json', '"a"']],
    ['no weights', { [INDEX]: undefined }, 'checkpoint', ['model.safetensors', 'neither']],
    ['missing shard', { [B]: undefined }, 'checkpoint', [B, 'missing']],
    ['tensor missing in its shard', { [B]: writeSafetensors([tensor('y', 2)]) }, 'checkpoint', ['"z"', B]],
    [
      'tensor in two shards',
      { [B]: writeSafetensors([tensor('x', 1), tensor('y', 2), tensor('z', 3)]) },
      'checkpoint',
      ['"x"', A, B],
    ],
    ['damaged shard', { [B]: new Uint8Array(20) }, 'format', [B]],
    ['index without weight_map', { [INDEX]: {} }, 'format', [INDEX, 'weight_map']],
    ['empty weight_map', { [INDEX]: { weight_map: {} } }, 'format', [INDEX, 'weight_map']],
    ['path out of the folder', { [INDEX]: { weight_map: { x: '../x.safetensors' } } }, 'format', ['"x"', '../x']],
    ['absolute path', { [INDEX]: { weight_map: { x: '/etc/x.safetensors' } } }, 'format', ['"x"', '/etc']],
    ['another address', { [INDEX]: { weight_map: { x: 'http://h/x.safetensors' } } }, 'format', ['"x"', 'http']],
    ['number for a path', { [INDEX]: { weight_map: { x: 3 } } }, 'format', ['"x"', '3']],
  ];
  it.each(refusals)('%s is refused', async (_claim, changes, code, words) => {
    await expectRefusal(() => openCheckpoint(sharded(changes), 'folder'), code, ...words);
  });

  it('a config of a gigabyte is not read', async () => {
    const huge: ByteSource = {
      name: 'config.json',
      size: 2 ** 30,
      read: () => Promise.reject(new Error('read all the same')),
    };
    const open = (path: string) => Promise.resolve(path === 'config.json' ? huge : undefined);
    await expectRefusal(() => openCheckpoint(open), 'format', 'config.json', '1073741824');
  });

  it.skipIf(DATA === undefined)('story_llama opens (needs PUPIL_DATA)', async () => {
    const checkpoint = await openCheckpoint(openFolder(`${DATA}/weights/story_llama`), 'story_llama');
    expect(checkpoint.info('model.embed_tokens.weight').shape).toEqual([2048, 128]);
    const embedding = await checkpoint.readF32('model.embed_tokens.weight');
    expect(embedding.every(Number.isFinite)).toBe(true);
  });
});

describe('fixtures', () => {
  it('an LFS pointer in place of the weights is named', async () => {
    const pointer = text('version https://git-lfs.github.com/spec/v1\noid sha256:abc\nsize 529760\n');
    const open = folderOf({
      'config.json': bytesAt(`${GOLDEN}/llama-tiny/config.json`),
      'model.safetensors': pointer,
    });
    await expectRefusal(() => openCheckpoint(open), 'format', 'model.safetensors', 'Git-LFS pointer');
  });
});

// Claims about recipes/inspectInput.ts: batches, pairs and prompts are taken as they are, and what cannot be computed is
// refused by file, row and value before any work.
import { describe, expect, it } from 'vitest';
import { inLibraryOrder, writeSafetensors, type TensorData } from '../../../src/formats/safetensorsWrite';
import { parsePairs, parsePrompts, readBatch } from '../../../src/recipes/inspectInput';
import { openFileRoot } from '../../../src/sources/fileRoot';

const LIMITS = { vocabSize: 10, maxPositions: 4 };

const ints = (name: string, shape: number[], values: number[]): TensorData => ({
  name,
  dtype: 'i64',
  shape,
  data: BigInt64Array.from(values.map(BigInt)),
});

function batch(tensors: TensorData[], withLabels = false): ReturnType<typeof readBatch> {
  const files = { 'b.safetensors': writeSafetensors(inLibraryOrder(tensors)) };
  return readBatch(openFileRoot({ kind: 'memory', files }), 'b.safetensors', LIMITS, withLabels);
}

const IDS = ints('input_ids', [2, 3], [1, 2, 3, 4, 5, 0]);
const MASK = ints('attention_mask', [2, 3], [1, 1, 1, 1, 1, 0]);
const LABELS = ints('labels', [2, 3], [-100, 2, 3, -100, 5, -100]);

describe('readBatch', () => {
  it('gives rows without their padding', async () => {
    expect(await batch([IDS, MASK, LABELS], true)).toEqual({
      B: 2,
      T: 3,
      sequences: [
        { ids: [1, 2, 3], labels: [-100, 2, 3] },
        { ids: [4, 5], labels: [-100, 5] },
      ],
    });
    expect(await batch([ints('input_ids', [0, 3], []), ints('attention_mask', [0, 3], [])])).toMatchObject({ B: 0 });
  });

  it('what is behind the mask is not looked at', async () => {
    const padded = ints('input_ids', [2, 3], [1, 2, 3, 4, 5, 77]);
    expect((await batch([padded, MASK])).sequences[1]).toEqual({ ids: [4, 5] });
  });

  const floats: TensorData = { name: 'input_ids', dtype: 'f32', shape: [2, 3], data: new Float32Array(6) };
  it.each<[string, TensorData[], string[]]>([
    ['an id beyond the vocabulary', [ints('input_ids', [2, 3], [1, 2, 3, 4, 10, 0]), MASK], ['row 1', '0 … 9', '10']],
    ['a negative id', [ints('input_ids', [1, 2], [1, -1]), ints('attention_mask', [1, 2], [1, 1])], ['row 0', '-1']],
    ['floats for ids', [floats, MASK], ['input_ids', 'I64', 'F32']],
    ['left padding', [IDS, ints('attention_mask', [2, 3], [1, 1, 1, 0, 1, 1])], ['right padding', 'row 1']],
    ['a mask that is no mask', [IDS, ints('attention_mask', [2, 3], [1, 1, 1, 2, 1, 0])], ['0 or 1', 'row 1', '2']],
    ['a row without tokens', [IDS, ints('attention_mask', [2, 3], [0, 0, 0, 1, 1, 1])], ['row 0', 'none']],
    ['a mask of another shape', [IDS, ints('attention_mask', [2, 2], [1, 1, 1, 1])], ['[2, 3]', '[2, 2]']],
    ['a batch without rows and columns', [ints('input_ids', [3], [1, 2, 3])], ['[B, T]', '[3]']],
    ['no ids', [MASK], ['input_ids', 'attention_mask']],
    [
      'a row longer than the context',
      [ints('input_ids', [1, 5], [1, 2, 3, 4, 5]), ints('attention_mask', [1, 5], [1, 1, 1, 1, 1])],
      ['row 0', 'at most 4', '5'],
    ],
  ])('%s is refused', async (_, tensors, words) => {
    const error = await batch(tensors).then(
      () => undefined,
      (caught: unknown) => caught as Error & { code: string },
    );
    expect(error).toMatchObject({ code: 'format' });
    for (const word of ['b.safetensors', ...words]) expect(error!.message).toContain(word);
  });

  it('labels: ids or −100, and they must be there', async () => {
    await expect(batch([IDS, MASK], true)).rejects.toThrow('labels');
    await expect(batch([IDS, MASK, ints('labels', [2, 3], [-100, 2, 10, 0, 0, 0])], true)).rejects.toThrow(
      'row 0 has 10',
    );
    await expect(batch([IDS, MASK, ints('labels', [2, 3], [-1, 2, 3, 0, 0, 0])], true)).rejects.toThrow('row 0 has -1');
  });
});

describe('parsePairs', () => {
  const pair = (change: object): string => JSON.stringify([{ prompt: [1], chosen: [2], rejected: [3], ...change }]);

  it('takes the three lists and nothing else', () => {
    expect(parsePairs(pair({ note: 'x' }), 'p.json', LIMITS)).toEqual([{ prompt: [1], chosen: [2], rejected: [3] }]);
  });

  it.each<[string, string[]]>([
    ['[]', ['at least one pair']],
    ['{"prompt": [1]}', ['list']],
    ['[{"prompt": [1],', ['expected JSON']],
    ['[null]', ['pair 0', 'prompt']],
    [pair({ prompt: [] }), ['pair 0', 'prompt', '[]']],
    [pair({ chosen: '2' }), ['pair 0', 'chosen', '"2"']],
    [pair({ rejected: [10] }), ['pair 0', 'rejected', '0 … 9', '10']],
    [pair({ rejected: [1.5] }), ['pair 0', 'rejected', '1.5']],
    [pair({ chosen: [1, 1, 1, 1] }), ['pair 0', 'prompt and chosen', 'at most 4', '5']],
    [pair({ prompt: [1, 1], rejected: [1, 1, 1] }), ['pair 0', 'prompt and rejected', 'at most 4', '5']],
  ])('%s is refused', (text, words) => {
    const refuse = (): unknown => parsePairs(text, 'p.json', LIMITS);
    for (const word of ['p.json', ...words]) expect(refuse).toThrow(word);
  });
});

describe('parsePrompts', () => {
  it('takes lists of ids, none too', () => {
    expect(parsePrompts('[[1, 2], [3]]', 'p.json', LIMITS, 2)).toEqual([[1, 2], [3]]);
    expect(parsePrompts('[]', 'p.json', LIMITS, 2)).toEqual([]);
  });

  it.each<[string, string[]]>([
    ['[[1], []]', ['prompt 1', '[]']],
    ['[1, 2]', ['prompt 0', '1']],
    ['{"a": 1}', ['list of prompts']],
    ['[[1], [10]]', ['prompt 1', '0 … 9', '10']],
    ['[[1, 2, 3]]', ['prompt 0', 'at most 4', '3 and 2 new ones']],
  ])('%s is refused', (text, words) => {
    const refuse = (): unknown => parsePrompts(text, 'p.json', LIMITS, 2);
    for (const word of ['p.json', ...words]) expect(refuse).toThrow(word);
  });
});

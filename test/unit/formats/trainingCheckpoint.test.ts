// Claims about formats/trainingCheckpoint.ts: what is saved comes back bit for bit; equal content gives equal bytes; a
// flipped bit or a missing end is noticed.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  decodeTrainingCheckpoint,
  encodeTrainingCheckpoint,
  type TrainingCheckpoint,
} from '../../../src/formats/trainingCheckpoint';
import { writeSafetensors } from '../../../src/formats/safetensorsWrite';
import { anyText, bytesAt, expectRefusal, GOLDEN, onlyPupilErrors } from './files';

const example = (): TrainingCheckpoint => ({
  state: {
    step: 40,
    phase: 'instruct',
    losses: [0.6931472, 1e-30],
    name: 'Größe "x"\u2028',
    nested: { seed: 2 ** 32 - 1 },
  },
  tensors: {
    moments: Float32Array.of(1, -0, 3.4e38, 1e-45, NaN),
    counters: Uint32Array.of(0, 2 ** 32 - 1),
    flags: Uint8Array.of(1, 2, 3),
    none: new Float32Array(0),
  },
});
const decode = (bytes: Uint8Array) => decodeTrainingCheckpoint(bytes, 'step-40.ckpt');

describe('training checkpoint', () => {
  it('comes back bit for bit, NaN and −0 included', async () => {
    const { state, tensors } = await decode(await encodeTrainingCheckpoint(example()));
    expect(state).toEqual(example().state);
    expect(tensors).toEqual(example().tensors);
    expect(Object.is(tensors['moments']![1], -0)).toBe(true);
  });

  it('any state and tensors come back', async () => {
    const tensors = fc.dictionary(
      anyText().filter((name) => name !== '__metadata__'),
      fc.oneof(fc.float32Array(), fc.uint32Array(), fc.uint8Array()),
      { noNullPrototype: true },
    );
    const state = fc.dictionary(
      fc.string().filter((key) => key !== '__proto__'),
      fc.jsonValue(),
      {
        noNullPrototype: true,
      },
    );
    await fc.assert(
      fc.asyncProperty(state, tensors, async (s, t) => {
        const wanted = JSON.parse(JSON.stringify(s)) as object; // −0 is 0 in JSON
        const back = await decode(await encodeTrainingCheckpoint({ state: s, tensors: t }));
        expect(back.state).toEqual(wanted);
        expect(new Map(Object.entries(back.tensors))).toEqual(new Map(Object.entries(t)));
      }),
      { numRuns: 150 },
    );
  });

  it('equal content gives equal bytes, whatever the order of the tensors', async () => {
    const { state, tensors } = example();
    const reversed = Object.fromEntries(Object.entries(tensors).reverse());
    const one = await encodeTrainingCheckpoint({ state, tensors });
    const other = await encodeTrainingCheckpoint({ state, tensors: reversed });
    expect(Buffer.from(one).equals(other)).toBe(true);
  });

  it('decoded arrays do not share memory with the file', async () => {
    const bytes = await encodeTrainingCheckpoint(example());
    const { tensors } = await decode(bytes);
    bytes.fill(0);
    expect(tensors['flags']).toEqual(Uint8Array.of(1, 2, 3));
  });

  it('every single flipped bit is noticed', async () => {
    const bytes = await encodeTrainingCheckpoint(example());
    for (let at = 0; at < bytes.byteLength; at++) {
      const damaged = bytes.slice();
      damaged[at]! ^= 1 << (at % 8);
      let noticed = false;
      try {
        await decode(damaged);
      } catch (error) {
        noticed = true;
        await onlyPupilErrors(() => Promise.reject(error));
      }
      expect(noticed, `byte ${at} of ${bytes.byteLength}`).toBe(true);
    }
  });

  it('every shortened file is noticed', async () => {
    const bytes = await encodeTrainingCheckpoint(example());
    for (let length = 0; length < bytes.byteLength; length++) {
      await expectRefusal(() => decode(bytes.subarray(0, length)), 'format', 'step-40.ckpt');
    }
  });

  it('an altered number gives a SHA-256 error; another version and other files have their own', async () => {
    const bytes = await encodeTrainingCheckpoint(example());
    const altered = bytes.slice();
    altered[altered.length - 1]! ^= 1;
    await expectRefusal(() => decode(altered), 'format', 'step-40.ckpt', 'SHA-256');
    const text = Buffer.from(bytes).toString('latin1');
    const later = Buffer.from(text.replace('"version":"1"', '"version":"2"'), 'latin1');
    await expectRefusal(() => decode(new Uint8Array(later)), 'checkpoint', 'version 1', 'got 2');
    const model = bytesAt(`${GOLDEN}/llama-tiny/model.safetensors`);
    await expectRefusal(() => decode(model), 'format', 'training checkpoint', '"pt"');
    await expectRefusal(() => decode(writeSafetensors([])), 'format', 'other safetensors');
  });

  const losses: [string, unknown][] = [
    ['NaN', NaN],
    ['infinity', -Infinity],
    ['bigint', 1n],
    ['Map', new Map([[1, 2]])],
    ['typed array', Float32Array.of(1)],
    ['function', () => 1],
  ];
  it.each(losses)('%s in the state is refused, for JSON would lose it', async (_claim, value) => {
    const state = { run: { loss: value } };
    await expectRefusal(() => encodeTrainingCheckpoint({ state, tensors: {} }), 'checkpoint', '"loss"');
  });

  it('an undefined field is dropped', async () => {
    const bytes = await encodeTrainingCheckpoint({ state: { a: undefined, b: 1 }, tensors: {} });
    expect((await decode(bytes)).state).toEqual({ b: 1 });
  });
});

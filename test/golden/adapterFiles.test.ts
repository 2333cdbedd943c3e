// adapterFiles.test.ts: PEFT files and the student they are put on: what does not fit, or is not all there, is refused by name
// and leaves nothing on the GPU; an adapter of some layers only comes back from its own export.
import { beforeAll, describe, expect, it } from 'vitest';
import { memorySource } from '../../src/formats/byteSource';
import { readPeftAdapter, writePeftAdapter, type AdapterFile, type AdapterModule } from '../../src/formats/peft';
import type { Gpu } from '../../src/gpu/device';
import { Adapter } from '../../src/model/adapter';
import { linearShape } from '../../src/model/linearNames';
import type { Student } from '../../src/model/student';
import { testGpu } from '../kernels/device';
import { awkwardStudent } from './awkward';

let gpu: Gpu;
let student: Student;
beforeAll(async () => {
  gpu = await testGpu();
  student = awkwardStudent(gpu);
  return () => student.destroy();
});

const QUERY = [0, 1, 2].map((layer) => `model.layers.${layer}.self_attn.q_proj`);
const DOWN = [0, 1, 2].map((layer) => `model.layers.${layer}.mlp.down_proj`);

/** An adapter of rank 2 on all query and down projections, changed, through its files. */
async function through(change: (file: AdapterFile) => void, settings: object = {}): Promise<AdapterFile> {
  const fresh = Adapter.create(
    student,
    { rank: 2, alpha: 4, dropout: 0, rsLora: false, targets: ['q_proj', 'down_proj'] },
    7,
  );
  const file = await fresh.toPeft('base');
  fresh.destroy();
  change(file);
  const written = writePeftAdapter(file);
  const config = JSON.parse(new TextDecoder().decode(written['adapter_config.json'])) as object;
  const files: Record<string, Uint8Array> = {
    ...written,
    'adapter_config.json': new TextEncoder().encode(JSON.stringify({ ...config, ...settings })),
  };
  return readPeftAdapter((path) => Promise.resolve(files[path] && memorySource(path, files[path])), 'adapters/cut');
}

/** Factors of a down projection. */
function ofRank(rank: number): AdapterModule {
  const [O, C] = linearShape(student.config, 'down_proj');
  return {
    a: { shape: [rank, C], data: new Float32Array(rank * C).fill(0.01) },
    b: { shape: [O, rank], data: new Float32Array(O * rank) },
  };
}

it('the highest rank that kernels are made for is taken', async () => {
  const file = await through(({ tensors }) => tensors.set(DOWN[0]!, ofRank(256)));
  const adapter = Adapter.fromPeft(student, file);
  expect(adapter.site(DOWN[0]!)).toMatchObject({ rank: 256, scale: 4 / 256 });
  adapter.destroy();
});

describe('refused by name, nothing stays on the GPU', () => {
  const cases: [string, (file: AdapterFile) => void, RegExp][] = [
    [
      'a layer that is listed and not there',
      ({ tensors }) => tensors.delete(DOWN[1]!),
      /^adapters\/cut: expected lora_A and lora_B of model\.layers\.1\.mlp\.down_proj, which target_modules lists/,
    ],
    [
      'a layer that the student lacks',
      ({ tensors }) => tensors.set('model.layers.3.self_attn.q_proj', tensors.get(QUERY[0]!)!),
      /^adapters\/cut: it adapts model\.layers\.3\.self_attn\.q_proj, which this student does not have/,
    ],
    [
      'factors for another width',
      ({ tensors }) => tensors.set(QUERY[1]!, { ...tensors.get(DOWN[1]!)! }),
      /^adapters\/cut: model\.layers\.1\.self_attn\.q_proj has lora_A \[2, 37\] .* the student needs \[r, 30\]/,
    ],
    [
      'a rank that no kernel is made for',
      ({ tensors }) => tensors.set(DOWN[2]!, ofRank(257)),
      /^adapters\/cut: model\.layers\.2\.mlp\.down_proj has rank 257, expected 1 to 256/,
    ],
  ];
  it.each(cases)('%s', async (_, change, message) => {
    const before = gpu.account.current;
    const file = await through(change);
    expect(() => Adapter.fromPeft(student, file)).toThrow(message);
    expect(gpu.account.current).toBe(before);
  });
});

it('an adapter of one layer reads, and its export says which one and reads again', async () => {
  const file = await through(
    ({ tensors }) => {
      for (const path of [...QUERY.slice(1), ...DOWN]) tensors.delete(path);
    },
    { target_modules: ['q_proj'], layers_to_transform: [0] },
  );
  const adapter = Adapter.fromPeft(student, file);
  const written = await adapter.toPeft('base');
  expect(written.targetModules).toEqual([QUERY[0]]);
  expect([...written.tensors.keys()]).toEqual([QUERY[0]]);
  const files: Record<string, Uint8Array> = { ...writePeftAdapter(written) };
  const again = await readPeftAdapter((path) => Promise.resolve(files[path] && memorySource(path, files[path])));
  const second = Adapter.fromPeft(student, again);
  expect(second.sameLayout(adapter)).toBe(true);
  expect(await second.readParameters()).toEqual(await adapter.readParameters());
  adapter.destroy();
  second.destroy();
});

it('rsLoRA, ranks and alphas of their own survive the GPU, byte for byte', async () => {
  const own = await through((file) => {
    const module = file.tensors.get(DOWN[1]!)!;
    const [C, O] = [module.a.shape[1], module.b.shape[0]];
    file.tensors.set(DOWN[1]!, {
      a: { shape: [3, C], data: Float32Array.from({ length: 3 * C }, (_, i) => Math.sin(i)) },
      b: { shape: [O, 3], data: Float32Array.from({ length: O * 3 }, (_, i) => Math.cos(i)) },
      alpha: 7,
    });
    file.rsLora = true;
  }, {});
  expect(own.tensors.get(DOWN[1]!)!.a.shape[0]).toBe(3);
  const adapter = Adapter.fromPeft(student, own);
  expect(adapter.site(DOWN[1]!)!.scale).toBeCloseTo(7 / Math.sqrt(3), 12);
  expect(adapter.site(DOWN[0]!)!.scale).toBeCloseTo(4 / Math.sqrt(2), 12);
  const before = writePeftAdapter(own);
  const after = writePeftAdapter(await adapter.toPeft(own.baseModel));
  adapter.destroy();
  for (const name of ['adapter_config.json', 'adapter_model.safetensors'] as const) {
    expect(Buffer.from(after[name]).equals(Buffer.from(before[name])), name).toBe(true);
  }
});

// shaders.test.ts: no shader is unused or untested: every file under shaders/ is imported by the kernels' floor,
// every kernel has its file's name as entry point and is asked for by a case of the self-check, which therefore compiles and
// runs it on the adapter of whoever checks. The cases themselves are run by the other tests of this folder.
import { readdirSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { expect, it, vi } from 'vitest';
import type { CaseFamily } from '../../src/selfcheck/harness';
import { freshGpu } from './device';

const ROOT = join(import.meta.dirname, '../..');

const shaders = readdirSync(join(ROOT, 'shaders'), { recursive: true, encoding: 'utf8' })
  .filter((path) => path.endsWith('.wgsl'))
  .map((path) => path.replaceAll('\\', '/'))
  .sort();
const text = (path: string): string => readFileSync(join(ROOT, 'shaders', path), 'utf8');
/** A prelude is put in front of kernels and has no entry point of its own. */
const kernels = shaders.filter((path) => /@compute/.test(text(path)));
const stem = (path: string): string => basename(path, '.wgsl');

it('every shader is imported by a wrapper in src/kernels', () => {
  const wrappers = readdirSync(join(ROOT, 'src/kernels')).map((name) =>
    readFileSync(join(ROOT, 'src/kernels', name), 'utf8'),
  );
  const imported = new Set(
    wrappers.flatMap((code) => [...code.matchAll(/from '\.\.\/\.\.\/shaders\/([^']+)\?raw'/g)].map(([, path]) => path)),
  );
  expect(shaders.length).toBeGreaterThan(40);
  expect(shaders.filter((path) => !imported.has(path))).toEqual([]);
});

it('every kernel has one entry point, named as its file, and no two files share a name', () => {
  for (const path of kernels) {
    const entries = [...text(path).matchAll(/@compute[^]*?fn\s+(\w+)/g)].map(([, name]) => name);
    expect(entries, path).toEqual([stem(path)]);
  }
  expect(new Set(shaders.map(stem)).size).toBe(shaders.length);
});

it('every kernel is run by a case of the self-check', async () => {
  const modules = import.meta.glob<Record<string, unknown>>('../../src/selfcheck/cases/*.ts');
  const families: CaseFamily[] = [];
  for (const load of Object.values(modules)) {
    for (const value of Object.values(await load())) {
      if (typeof value === 'object' && value !== null && 'cases' in value) families.push(value as CaseFamily);
    }
  }
  expect(families.length).toBeGreaterThan(10);
  // Preparing a case's commands asks for its pipelines: nothing is compiled or run here, that is the other tests' work.
  const gpu = await freshGpu();
  const asked = new Set<string>();
  vi.spyOn(gpu.device, 'createShaderModule').mockReturnValue({} as GPUShaderModule);
  vi.spyOn(gpu.device, 'createComputePipelineAsync').mockImplementation(({ label }) => {
    asked.add(label!);
    return Promise.resolve({} as GPUComputePipeline);
  });
  // Kernels are cut for the lanes of a subgroup and chosen by the kind of adapter: as on this one, and as on software of four.
  const software = { subgroupSize: 4, software: true };
  for (const { subgroupSize, ...kind } of [{ ...gpu.features, software: gpu.adapter.software }, software]) {
    Object.assign(gpu.features, { subgroupSize });
    Object.assign(gpu.adapter, { software: kind.software });
    for (const kernelCase of families.flatMap((family) => family.cases())) {
      if (kernelCase.unsupported?.(gpu) !== undefined) {
        asked.add(kernelCase.kernel); // an adapter that supports it runs it
        continue;
      }
      const arena = gpu.arena('case');
      const tensors = Object.entries({ ...kernelCase.inputs, ...kernelCase.outputs }).map(
        ([name, { shape, dtype }]) => [name, arena.tensor(name, shape, dtype)] as const,
      );
      kernelCase.commands(gpu, Object.fromEntries(tensors), arena);
      arena.destroy();
    }
  }
  await gpu.settled();
  gpu.destroy();
  expect(kernels.map(stem).filter((name) => !asked.has(name))).toEqual([]);
});

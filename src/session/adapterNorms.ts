// adapterNorms.ts: how far the adapters of a stored run have moved each weight, and how far its phases are from one another.
// From the adapters' files alone; the mathematics is model/loraUpdate.ts.
import { PupilError } from '../base/errors';
import { LINEAR_NAMES } from '../base/linearNames';
import type { ProgressListener } from '../base/progress';
import { loraScale, type AdapterFile } from '../formats/peft';
import { modulePath } from '../model/linearNames';
import { effectiveRank, updateDistance, updateNorm, updateSingularValues, type LoraFactors } from '../model/loraUpdate';
import { loadAdapterFile } from '../recipes/files';
import { openMemoryRoot } from '../sources/memory';
import type { RunStore } from '../storage/runStore';
import type { AdapterMeasures, AdapterPhase, UpdateMeasure } from './engineProtocol';

const PHASES: readonly AdapterPhase[] = ['instruct', 'control', 'self-refine'];

/** An adapter that a run left, or undefined where it has none of that phase. */
export async function storedAdapter(
  store: RunStore,
  runId: string,
  phase: AdapterPhase,
): Promise<AdapterFile | undefined> {
  const folder = `adapters/${phase}`;
  const files: Record<string, Uint8Array> = {};
  for (const path of await store.listArtefacts(runId)) {
    if (path.startsWith(`${folder}/`)) files[path] = (await store.loadArtefact(runId, path))!;
  }
  if (Object.keys(files).length === 0) return undefined;
  return loadAdapterFile(openMemoryRoot(files), folder);
}

/** @throws PupilError `storage` where the run has left no adapter; `checkpoint` for damaged files */
export async function measureAdapters(
  store: RunStore,
  runId: string,
  onProgress: ProgressListener,
): Promise<AdapterMeasures> {
  const phases: AdapterMeasures['phases'] = [];
  let instruct: AdapterFile | undefined;
  for (const phase of PHASES) {
    const adapter = await storedAdapter(store, runId, phase);
    if (adapter === undefined) continue;
    if (phase === 'instruct') instruct = adapter;
    const before = phase === 'instruct' ? undefined : instruct;
    const total = adapter.tensors.size;
    const report = (done: number): void => onProgress({ task: `Updates of ${phase}`, done, total, unit: 'modules' });
    phases.push({ phase, ...(await updatesOf(adapter, before, report)) });
  }
  if (phases.length > 0) return { runId, phases };
  throw new PupilError(
    'storage',
    `adapterNorms: run ${runId}: expected adapters, it has left none`,
    'They are written when a training phase ends: the run has not come so far, or is not kept here.',
  );
}

const factorsOf = (adapter: AdapterFile, path: string): LoraFactors | undefined => {
  const module = adapter.tensors.get(path);
  return module === undefined ? undefined : { a: module.a, b: module.b, scale: loraScale(module, adapter) };
};

async function updatesOf(
  adapter: AdapterFile,
  instruct: AdapterFile | undefined,
  onDone: (modules: number) => void,
): Promise<{ layers: number; updates: UpdateMeasure[] }> {
  const numbers = [...adapter.tensors.keys()].map((path) => Number(/layers\.(\d+)\./.exec(path)?.[1] ?? -1));
  const layers = numbers.reduce((most, layer) => Math.max(most, layer + 1), 0);
  const updates: UpdateMeasure[] = [];
  for (let layer = 0; layer < layers; layer++) {
    for (const module of LINEAR_NAMES) {
      const path = modulePath(layer, module);
      const factors = factorsOf(adapter, path);
      if (factors === undefined) continue;
      const before = instruct === undefined ? undefined : factorsOf(instruct, path);
      const singularValues = updateSingularValues(factors);
      updates.push({
        layer,
        module,
        shape: [factors.b.shape[0], factors.a.shape[1]],
        rank: factors.a.shape[0],
        norm: updateNorm(factors),
        singularValues,
        effectiveRank: effectiveRank(singularValues),
        ...(before === undefined ? {} : { fromInstruct: updateDistance(factors, before) }),
      });
      onDone(updates.length);
      await new Promise((resolve) => setTimeout(resolve)); // of a large student seconds: others get their turn
    }
  }
  return { layers, updates };
}

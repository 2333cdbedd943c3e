// variants.ts: which kernel variants and which tier a session computes with: the remembered choice of this adapter, else a
// measured one, else the default; and on resume the recorded one. How variants are timed is kernels/measureLinear.ts, how
// they are used kernels/linearChoice.ts (docs/decisions/0006).
import { isJsonObject } from '../formats/jsonText';
import type { AdapterReport, Gpu, Tier } from '../gpu/device';
import { measuredBound } from '../kernels/dispatchBound';
import {
  asChoice,
  choiceOfDescription,
  defaultChoice,
  setLinearChoice,
  type ChoiceDevice,
  type LinearChoice,
} from '../kernels/linearChoice';
import { measureLinear } from '../kernels/measureLinear';
import type { EnvironmentReport } from '../report/types';
import { embeddingCases } from '../selfcheck/cases/embedding';
import { headCases } from '../selfcheck/cases/head';
import { linearCases } from '../selfcheck/cases/linear';
import { runCase } from '../selfcheck/harness';
import type { VariantStore } from '../storage/variantStore';
import type { VariantsReport } from './protocol';

/** What is remembered: plain data. */
export interface MeasuredVariants {
  choice: LinearChoice;
  /** Milliseconds by class of product, then by variant. */
  milliseconds: Record<string, Record<string, number>>;
  autoTier: AutoTier;
  /** Multiply-adds of one dispatch at the most (kernels/dispatchBound.ts); what stands where absent. */
  multiplyAddsPerDispatch?: number;
}

/** What tier `auto` means on this adapter, and why. */
export interface AutoTier {
  tier: Tier;
  reason: string;
}

/** What a session computes with; what `doctor` and the page show. */
export interface FoundVariants extends MeasuredVariants {
  source: VariantsReport['source'];
  reason: string;
}

/** The rule of tier `auto`: halves where a GPU offers them, computes them rightly, and is not slower with them; else f32. */
export function decideTier(facts: {
  offered: boolean;
  software: boolean;
  /** Milliseconds of the same products with a weight stored as f32 and as f16. */
  storage?: { f32: number; f16: number };
  /** What the self-check of the f16 kernels found wrong; undefined where they passed. */
  problem?: string;
}): AutoTier {
  const { offered, software, storage, problem } = facts;
  if (!offered) return { tier: 'f32', reason: 'no shader-f16' };
  if (software) return { tier: 'f32', reason: 'a software adapter gains nothing by halves' };
  if (problem !== undefined) return { tier: 'f32', reason: `the self-check of f16 failed: ${problem}` };
  if (storage === undefined) return { tier: 'f32', reason: 'f16 was not measured' };
  const times = `${storage.f16.toPrecision(3)} ms with f16 weights, ${storage.f32.toPrecision(3)} ms with f32`;
  return { tier: storage.f16 <= storage.f32 ? 'f16' : 'f32', reason: times };
}

/** Of the self-check's cases with a weight stored as f16, those of the chosen variants: what is wrong, or undefined. */
export async function problemWithF16(gpu: Gpu, choice: LinearChoice): Promise<string | undefined> {
  const chosen = new Set([
    `linear_forward_${choice.forward_few_rows}`,
    `linear_forward_${choice.forward_many_rows}`,
    `linear_backward_input_${choice.backward_input}`,
  ]);
  try {
    for (const { cases } of [linearCases, embeddingCases, headCases]) {
      for (const one of cases()) {
        if (!/f16/.test(`${one.kernel} ${one.name}`)) continue;
        if (one.kernel.startsWith('linear_') && !chosen.has(one.kernel)) continue;
        const { status, kernel, name, detail } = await runCase(gpu, one);
        if (status === 'failed') return `${kernel} ${name}: ${detail ?? ''}`;
      }
    }
    return undefined;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

/** Measures on a device of its own, which is given back: a kernel that brings the driver down takes no work with it. */
export async function measureVariants(acquire: () => Promise<Gpu>): Promise<MeasuredVariants> {
  const gpu = await acquire();
  try {
    const { choice, times, storage, multiplyAddsPerMs } = await measureLinear(gpu);
    const { software } = gpu.adapter;
    const facts = { offered: gpu.features.f16, software, ...(storage === undefined ? {} : { storage }) };
    let autoTier = decideTier(facts);
    if (autoTier.tier === 'f16') {
      const problem = await problemWithF16(gpu, choice);
      if (problem !== undefined) autoTier = decideTier({ ...facts, problem });
    }
    const bound = multiplyAddsPerMs === undefined ? undefined : measuredBound(gpu, multiplyAddsPerMs);
    return {
      choice,
      milliseconds: times,
      autoTier,
      ...(bound === undefined ? {} : { multiplyAddsPerDispatch: bound }),
    };
  } finally {
    gpu.destroy();
  }
}

/** Names the adapter, what it offers that matters here, and the versions that may change its speed. */
export function variantKey(gpu: ChoiceDevice, userAgent: string, pupilVersion: string): string {
  const { vendor, architecture, device, description } = gpu.adapter;
  const { f16, subgroupSize } = gpu.features;
  return JSON.stringify([vendor, architecture, device, description, f16, subgroupSize, userAgent, pupilVersion]);
}

/** What was remembered, or undefined where it is damaged or of no use on this device. */
function readRemembered(gpu: ChoiceDevice, text: string | undefined): MeasuredVariants | undefined {
  if (text === undefined) return undefined;
  try {
    const data: unknown = JSON.parse(text);
    if (!isJsonObject(data)) return undefined;
    const { milliseconds, autoTier, multiplyAddsPerDispatch: bound } = data;
    const choice = asChoice(gpu, data['choice']);
    if (choice === undefined || !isJsonObject(milliseconds) || !isJsonObject(autoTier)) return undefined;
    for (const times of Object.values(milliseconds)) {
      if (!isJsonObject(times) || !Object.values(times).every((ms) => typeof ms === 'number')) return undefined;
    }
    const { tier, reason } = autoTier;
    if (!gpu.adapter.tiers.includes(tier as Tier) || tier === 'matrix' || typeof reason !== 'string') return undefined;
    if (bound !== undefined && !(typeof bound === 'number' && bound >= 1)) return undefined;
    return {
      choice,
      milliseconds: milliseconds as MeasuredVariants['milliseconds'],
      autoTier: { tier, reason } as AutoTier,
      ...(bound === undefined ? {} : { multiplyAddsPerDispatch: bound }),
    };
  } catch {
    return undefined;
  }
}

/**
 * What this adapter is to compute with. A software adapter keeps the default, unmeasured and unremembered, unless `anew` asks
 * for a measurement: what is best there is known (bench/notes/linear.md), and compiling all variants takes tens of seconds.
 * Never throws: without storage it is measured every time, without a measurement the default stands.
 */
export async function findVariants(options: {
  gpu: ChoiceDevice;
  key: string;
  store: VariantStore;
  measure: () => Promise<MeasuredVariants>;
  /** Measure, whatever is remembered. */
  anew: boolean;
}): Promise<FoundVariants> {
  const { gpu, key, store, measure, anew } = options;
  const { software } = gpu.adapter;
  const standing = (reason: string): FoundVariants => ({
    source: 'default',
    reason,
    choice: defaultChoice(gpu),
    milliseconds: {},
    autoTier: decideTier({ offered: gpu.features.f16, software }),
  });
  if (software && !anew) return standing('a software adapter is not measured');
  if (!anew) {
    try {
      const remembered = readRemembered(gpu, await store.loadVariants(key));
      if (remembered !== undefined) {
        return { ...remembered, source: 'remembered', reason: 'measured on this adapter before' };
      }
    } catch {
      // storage that fails costs a measurement
    }
  }
  let measured: MeasuredVariants;
  try {
    measured = await measure();
  } catch (error) {
    return standing(`the measurement failed: ${error instanceof Error ? error.message : String(error)}`);
  }
  if (software) return { ...measured, source: 'measured', reason: 'not remembered: a software adapter' };
  try {
    await store.saveVariants(key, JSON.stringify(measured));
    return { ...measured, source: 'measured', reason: 'and remembered' };
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    return { ...measured, source: 'measured', reason: `not remembered: ${why}` };
  }
}

/**
 * Makes a device compute as a run's checkpoint says it did: its variants, and its tier where neither the experiment nor the
 * session names one. What this device cannot follow, or another adapter's record, is left alone: the comparison of
 * environments then says what differs.
 */
export function applyRecorded(gpu: Gpu, recorded: EnvironmentReport, tierIsOpen: boolean): void {
  const own: AdapterReport = gpu.adapter;
  if ((['vendor', 'architecture', 'device', 'description'] as const).some((key) => own[key] !== recorded[key])) return;
  const choice = choiceOfDescription(gpu, recorded.variants);
  if (choice !== undefined) setLinearChoice(gpu, choice);
  const tier = own.tiers.find((offered) => offered === recorded.tier);
  if (tierIsOpen && tier !== undefined && tier !== 'matrix') gpu.useTier(tier);
}

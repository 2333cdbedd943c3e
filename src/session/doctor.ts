// doctor.ts: what is here to run on, and what is wrong with it, in words and with remedies. It acquires no device.
import { PupilError } from '../base/errors';
import { describeAdapter, NO_ADAPTER_HINT, type Gpu } from '../gpu/device';
import { estimateStorage } from '../storage/quota';
import { inBrowser, PUPIL_VERSION, userAgent } from './load';
import type { DoctorReport, VariantsReport } from './protocol';

/** Looks at the open device and what it computes with, or at the adapter that one would be acquired of. Never throws. */
export async function examine(
  gpu: Gpu | undefined,
  webGpu: () => Promise<GPU>,
  variants?: VariantsReport,
): Promise<DoctorReport> {
  const problems: DoctorReport['problems'] = [];
  const storage = await estimateStorage();
  let report = gpu?.adapter;
  let tier: string = gpu?.tier ?? 'none';
  if (report === undefined) {
    try {
      const provider = await webGpu();
      const adapter = await provider.requestAdapter({ powerPreference: 'high-performance' });
      if (adapter !== null) {
        report = describeAdapter(adapter);
        tier = 'f32';
      }
    } catch (error) {
      problems.push({
        problem: error instanceof Error ? error.message : String(error),
        remedy: (error instanceof PupilError ? error.hint : undefined) ?? 'Use a current Chrome or Edge.',
      });
    }
  }
  if (report === undefined && problems.length === 0) {
    problems.push({
      problem: 'WebGPU is there, but no adapter was found',
      remedy: NO_ADAPTER_HINT,
    });
  }
  if (report?.software === true) {
    problems.push({
      problem: `only a software adapter was found (${report.description || report.device || report.architecture})`,
      remedy: 'Results are right but slow. With a GPU: check its driver, and the browser flags for Vulkan.',
    });
  }
  const isolated = (globalThis as { crossOriginIsolated?: boolean }).crossOriginIsolated ?? false;
  if (inBrowser() && storage.persisted === false) {
    problems.push({
      problem: 'the browser may evict stored runs when the disk fills up',
      remedy: 'Export adapters you want to keep, or run with an output folder.',
    });
  }
  return {
    adapter: { ...report },
    tier,
    tiers: report?.tiers ?? [],
    software: report?.software ?? false,
    ...(gpu === undefined || variants === undefined ? {} : { variants: structuredClone(variants) }),
    storage,
    crossOriginIsolated: isolated,
    userAgent: userAgent(),
    pupilVersion: PUPIL_VERSION,
    problems,
  };
}

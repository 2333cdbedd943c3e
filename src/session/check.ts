// check.ts: every kernel against its reference on this device: the families of cases by name, run one after the other.
import type { Gpu } from '../gpu/device';
import { attentionCases } from '../selfcheck/cases/attention';
import { decodeCases } from '../selfcheck/cases/decode';
import { elementwiseCases } from '../selfcheck/cases/elementwise';
import { embeddingCases } from '../selfcheck/cases/embedding';
import { headCases } from '../selfcheck/cases/head';
import { linearCases } from '../selfcheck/cases/linear';
import { loraCases } from '../selfcheck/cases/lora';
import { lossCases } from '../selfcheck/cases/loss';
import { nf4Cases } from '../selfcheck/cases/nf4';
import { optimizerCases } from '../selfcheck/cases/optimizer';
import { rmsnormCases } from '../selfcheck/cases/rmsnorm';
import { ropeCases } from '../selfcheck/cases/rope';
import { samplingCases } from '../selfcheck/cases/sampling';
import { swigluCases } from '../selfcheck/cases/swiglu';
import { tokenLogpsCases } from '../selfcheck/cases/tokenLogps';
import { runCase, type CaseFamily } from '../selfcheck/harness';
import { throwIfCancelled } from '../base/progress';
import type { CheckResult, CheckSummary } from './protocol';

export const CHECK_FAMILIES: readonly CaseFamily[] = [
  embeddingCases,
  rmsnormCases,
  linearCases,
  decodeCases,
  nf4Cases,
  loraCases,
  ropeCases,
  attentionCases,
  swigluCases,
  elementwiseCases,
  headCases,
  lossCases,
  optimizerCases,
  samplingCases,
  tokenLogpsCases,
];

/** In the order of the check. How many cases each has is known when they are made, references and all: seconds of work. */
export const checkFamilies = (): string[] => CHECK_FAMILIES.map(({ family }) => family);

/**
 * Runs the cases whose family, kernel or name contains `filter`. A wrong number is a failed case; a case that throws is
 * one too, unless the device itself is gone.
 * @throws PupilError `cancelled` before the next case; `gpu-…`
 */
export async function checkKernels(
  gpu: Gpu,
  filter: string | undefined,
  onResult: (result: CheckResult) => void,
  signal?: AbortSignal,
): Promise<CheckSummary> {
  const summary: CheckSummary = {
    passed: 0,
    failed: 0,
    skipped: 0,
    adapter: [gpu.adapter.vendor, gpu.adapter.architecture, gpu.adapter.description || gpu.adapter.device]
      .filter((word) => word !== '')
      .join(' '),
  };
  for (const family of CHECK_FAMILIES) {
    throwIfCancelled(signal, 'check');
    const cases = family.cases().filter(({ kernel, name }) => {
      return filter === undefined || `${family.family} ${kernel} ${name}`.toLowerCase().includes(filter.toLowerCase());
    });
    const ofFamily = { family: family.family, familyCases: cases.length };
    for (const kernelCase of cases) {
      throwIfCancelled(signal, 'check');
      let result: CheckResult;
      try {
        const { kernel, name, status, detail } = await runCase(gpu, kernelCase);
        result = { ...ofFamily, kernel, name, status, ...(detail === undefined ? {} : { detail }) };
      } catch (error) {
        gpu.throwIfFailed(); // nothing more can be checked on a lost device
        const detail = error instanceof Error ? error.message : String(error);
        result = { ...ofFamily, kernel: kernelCase.kernel, name: kernelCase.name, status: 'failed', detail };
      }
      summary[result.status]++;
      onResult(result);
    }
  }
  return summary;
}

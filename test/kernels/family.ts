// family.ts: turns a family of kernel cases into tests, one a case. A skipped case is shown as skipped, with its reason.
import { describe, expect, it } from 'vitest';
import { runCase, type CaseFamily, type KernelCase } from '../../src/selfcheck/harness';
import { testGpu } from './device';

/** @param leaveOut why a case is left to `npm run test:long`, or undefined where it is not. */
export function testFamily(
  family: CaseFamily,
  leaveOut: (one: KernelCase) => string | undefined = () => undefined,
): void {
  describe(family.family, () => {
    for (const kernelCase of family.cases()) {
      it(`${kernelCase.kernel} matches f64 at ${kernelCase.name}`, async (context) => {
        const reason = process.env['PUPIL_TEST_LONG'] ? undefined : leaveOut(kernelCase);
        if (reason !== undefined) context.skip(reason);
        const result = await runCase(await testGpu(), kernelCase);
        if (result.status === 'skipped') context.skip(result.detail);
        expect(result.detail ?? '').toBe('');
        expect(result.status).toBe('passed');
      });
    }
  });
}

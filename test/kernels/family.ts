// family.ts: turns a family of kernel cases into tests, one a case. A skipped case is shown as skipped, with its reason.
import { describe, expect, it } from 'vitest';
import { runCase, type CaseFamily } from '../../src/selfcheck/harness';
import { testGpu } from './device';

export function testFamily(family: CaseFamily): void {
  describe(family.family, () => {
    for (const kernelCase of family.cases()) {
      it(`${kernelCase.kernel} matches f64 at ${kernelCase.name}`, async (context) => {
        const result = await runCase(await testGpu(), kernelCase);
        if (result.status === 'skipped') context.skip(result.detail);
        expect(result.detail ?? '').toBe('');
        expect(result.status).toBe('passed');
      });
    }
  });
}

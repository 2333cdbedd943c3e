// nodePolling.test.ts: Dawn in Node looks at a software adapter at intervals; what others put off until the next turn of the
// event loop is not put off longer.
import { describe, expect, it } from 'vitest';
import { testGpu } from '../../kernels/device';

/** `Function.prototype` is what Dawn's callback looks like: native, and without a name. */
const native = Function.prototype as () => void;
const kindOf = (handle: unknown): string => (handle as object).constructor.name;

describe('setImmediate beside a software adapter', () => {
  it('puts native callbacks off, and no others', async () => {
    const gpu = await testGpu();
    expect(kindOf(setImmediate(native))).toBe(gpu.adapter.software ? 'Timeout' : 'Immediate');
    expect(kindOf(setImmediate(() => undefined))).toBe('Immediate');
    expect(kindOf(setImmediate(native.bind(null)))).toBe('Immediate');
    const order: string[] = [];
    await new Promise<void>((resolve) => {
      setTimeout(() => resolve(order.push('timer') as never), 2);
      setImmediate((name: string) => order.push(name), 'immediate');
      const cleared = setImmediate(() => order.push('cleared'));
      clearImmediate(cleared);
    });
    expect(order).toEqual(['immediate', 'timer']);
  });
});

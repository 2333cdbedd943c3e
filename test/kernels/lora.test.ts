// lora.test.ts: the lora kernels on this machine's adapter against reference/lora.ts.
import { loraCases } from '../../src/selfcheck/cases/lora';
import { testFamily } from './family';

testFamily(loraCases);

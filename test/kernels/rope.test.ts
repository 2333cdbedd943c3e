// rope.test.ts: the rope kernels against their float64 reference on this machine's device.
import { ropeCases } from '../../src/selfcheck/cases/rope';
import { testFamily } from './family';

testFamily(ropeCases);

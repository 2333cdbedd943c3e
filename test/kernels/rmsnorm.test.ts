// rmsnorm.test.ts: the rmsnorm kernels against their float64 reference on this machine's device.
import { rmsnormCases } from '../../src/selfcheck/cases/rmsnorm';
import { testFamily } from './family';

testFamily(rmsnormCases);

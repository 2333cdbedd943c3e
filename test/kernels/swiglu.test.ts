// swiglu.test.ts: the swiglu kernels against their float64 reference on this machine's device.
import { swigluCases } from '../../src/selfcheck/cases/swiglu';
import { testFamily } from './family';

testFamily(swigluCases);

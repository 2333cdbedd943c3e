// elementwise.test.ts: the elementwise kernels against their float64 reference on this machine's device.
import { elementwiseCases } from '../../src/selfcheck/cases/elementwise';
import { testFamily } from './family';

testFamily(elementwiseCases);

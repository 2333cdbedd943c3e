// linear.test.ts: the linear kernels on this machine's adapter against reference/linear.ts.
import { linearCases } from '../../src/selfcheck/cases/linear';
import { testFamily } from './family';

testFamily(linearCases);

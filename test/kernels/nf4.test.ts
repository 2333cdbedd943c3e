// nf4.test.ts: the nf4 kernels on this machine's adapter against reference/nf4.ts.
import { nf4Cases } from '../../src/selfcheck/cases/nf4';
import { testFamily } from './family';

testFamily(nf4Cases);

// attention.test.ts: the attention kernels against their float64 reference on this machine's device.
import { attentionCases } from '../../src/selfcheck/cases/attention';
import { testFamily } from './family';

testFamily(attentionCases);

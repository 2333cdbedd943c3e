// embedding.test.ts: the embedding kernels against their float64 reference on this machine's device.
import { embeddingCases } from '../../src/selfcheck/cases/embedding';
import { testFamily } from './family';

testFamily(embeddingCases);

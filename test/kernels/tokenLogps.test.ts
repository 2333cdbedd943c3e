// tokenLogps.test.ts: token probabilities on this device against float64.
import { tokenLogpsCases } from '../../src/selfcheck/cases/tokenLogps';
import { testFamily } from './family';

testFamily(tokenLogpsCases);

// multiarith.ts: MultiArith (Roy and Roth 2015): 600 arithmetic stories in several steps, 20 of them twice.
// Files: MultiArith.json of zero-shot CoT and LLM-Adapters (sQuestion with spaces around it, lSolutions [39.0]); LLM-Adapters'
// test.json and multiarith_1.json; the Hub's ChilleD/MultiArith (question, final_ans).
import { arithmeticTask } from './arithmetic';

export const multiarith = arithmeticTask('multiarith', 'MultiArith', ['iIndex']);

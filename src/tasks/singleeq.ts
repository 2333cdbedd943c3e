// singleeq.ts: SingleEq (Koncel-Kedziorski et al. 2015): 508 arithmetic stories that one equation solves.
// Files: questions.json of zero-shot CoT, SingleEq.json, test.json and singleeq_1.json of LLM-Adapters.
import { arithmeticTask } from './arithmetic';

export const singleeq = arithmeticTask('singleeq', 'SingleEq', ['iIndex']);

// addsub.ts: AddSub (Hosseini et al. 2014): 395 arithmetic stories of one or two additions and subtractions.
// Files: AddSub.json of zero-shot CoT and LLM-Adapters (sQuestion, lSolutions [43.0], decimals among them); LLM-Adapters'
// test.json and addsub_1.json; the Hub's allenai/lila, configuration addsub (input, output_program, output_answer).
import { arithmeticTask } from './arithmetic';

export const addsub = arithmeticTask('addsub', 'AddSub', ['iIndex']);

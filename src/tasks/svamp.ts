// svamp.ts: SVAMP (Patel et al. 2021): 1000 arithmetic stories, varied so that their surface misleads.
// Files: SVAMP.json (Body without its full stop, Question, Answer 51.0), the Hub's ChilleD/SVAMP with the same fields, and
// distilling-step-by-step's svamp_{train,test}.json (input, and an equation as label).
import { arithmeticTask } from './arithmetic';

export const svamp = arithmeticTask('svamp', 'SVAMP', ['ID']);

// gsm8k.ts: GSM8K (Cobbe et al. 2021): grade-school mathematics in two to eight steps, 7473 to train and 1319 to test.
// Files: train.jsonl, test.jsonl and test_socratic.jsonl (question; answer: the solution with <<48/2=24>> annotations, then
// "#### 1,234"), the Hub's openai/gsm8k with the same fields, LLM-Adapters' gsm8k.json, gsm8k_1.json and test.json. The
// annotated solution is not part of the item: only the number is.
import { arithmeticTask } from './arithmetic';

export const gsm8k = arithmeticTask('gsm8k', 'GSM8K', []);

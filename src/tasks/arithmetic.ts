// arithmetic.ts: the forms in which sets of arithmetic stories come, read into question and number. Shared by MultiArith,
// AddSub, SingleEq, SVAMP and GSM8K, which differ in their fields more from file to file than from set to set.
import { numberText } from './extract/number';
import { itemId, numberTarget, type Row } from './fields';
import { loadItems, requiredText, RowProblem, taskOfKind } from './task';
import type { Task } from './task';

/**
 * Question and answer of one row. Forms: the original sets' sQuestion, lSolutions (also with the Body apart); SVAMP's Body,
 * Question, Answer; question with answer (a number, or GSM8K's solution that ends "#### 1,234") or final_ans; LLM-Adapters'
 * instruction, answer; distilling-step-by-step's input, label (an equation); the Hub's allenai/lila's input, output_answer.
 */
function readStory(row: Row): { question: string; target: string } {
  const body = row['Body'] === undefined ? '' : requiredText(row, 'Body');
  // As published evaluations of SVAMP join them: "Body Question".
  const joined = (question: string): string =>
    body === '' || question.startsWith(body) ? question : `${body} ${question}`;
  if (row['sQuestion'] !== undefined) {
    return { question: joined(requiredText(row, 'sQuestion')), target: numberTarget(row['lSolutions'], 'lSolutions') };
  }
  if (row['Question'] !== undefined) {
    return { question: joined(requiredText(row, 'Question')), target: numberTarget(row['Answer'], 'Answer') };
  }
  if (row['question'] !== undefined) {
    const key = row['final_ans'] === undefined ? 'answer' : 'final_ans';
    return { question: requiredText(row, 'question'), target: numberTarget(row[key], key) };
  }
  if (row['instruction'] !== undefined) {
    return { question: requiredText(row, 'instruction'), target: numberTarget(row['answer'], 'answer') };
  }
  if (row['input'] !== undefined) {
    const question = requiredText(row, 'input').replace(/\s*\n\s*/g, ' ');
    const answer = row['output_answer'];
    return {
      question,
      target: answer === undefined ? equationTarget(row['label']) : numberTarget(answer, 'output_answer'),
    };
  }
  throw new RowProblem('expected a question in sQuestion, Question, question, instruction or input, got none of them');
}

/** The value of "( ( 6.0 + 3.0 ) / 2.0 )": numbers, the four operations and brackets, written apart. */
function equationTarget(label: unknown): string {
  const problem = new RowProblem(`expected an equation of numbers in label, got ${JSON.stringify(label) ?? 'nothing'}`);
  if (typeof label !== 'string') throw problem;
  const tokens = label.trim().split(/\s+/);
  let at = 0;
  const term = (): number => {
    const token = tokens[at++];
    if (token === '(') {
      const left = term();
      const operator = tokens[at++];
      const right = term();
      if (tokens[at++] !== ')') throw problem;
      if (operator === '+') return left + right;
      if (operator === '-') return left - right;
      if (operator === '*') return left * right;
      if (operator === '/' && right !== 0) return left / right;
      throw problem;
    }
    if (token === undefined || !/^-?\d+(?:\.\d+)?$/.test(token)) throw problem;
    return Number(token);
  };
  const value = term();
  if (at !== tokens.length) throw problem;
  return numberText(value);
}

/**
 * A set of arithmetic stories.
 * @param idKeys where its rows have ids of their own.
 */
export function arithmeticTask(id: Task['id'], title: string, idKeys: readonly string[]): Task {
  return {
    id,
    title,
    ...taskOfKind('number'),
    load: (sources) =>
      loadItems(title, sources, (row, place) => ({ id: itemId(id, row, idKeys, place), ...readStory(row) })),
  };
}

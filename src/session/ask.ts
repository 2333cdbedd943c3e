// ask.ts: a question that a person types, answered by the untouched student or by one that a run tuned. It is asked exactly as
// the test questions are (prompt, wrapper, suffix, temperature, extractor), or not at all where the student lacks a word of
// it. What was loaded for one question is kept for the next (loadedStudents.ts).
import { PupilError } from '../base/errors';
import type { Experiment } from '../config/experiment';
import type { Gpu } from '../gpu/device';
import type { Generator } from '../model/generator';
import type { OpenRoot } from '../sources/openRoot';
import { LETTERS } from '../tasks/extract/choice';
import { taskOfKind } from '../tasks/task';
import { askable, unknownWordsReply } from '../text/askable';
import { decodeAnswer } from '../text/wrapper';
import { Encoder } from './encoder';
import { openStudent, type OpenedStudent } from './load';
import type { LoadedStudents } from './loadedStudents';
import type { StudentPlace } from './studentCaching';
import { prepare, questionsOnly } from './prepare';
import type { AskAnswer, AskRequest, ExampleQuestions } from './protocol';

/** As many options as there are letters in a student's vocabulary at most; the paper's tasks have up to five. */
const MAX_OPTIONS = 8;

/** One question with all that is needed to ask it. */
interface Inquiry {
  gpu: Gpu;
  request: AskRequest;
  /** The request's, checked and resolved. */
  experiment: Experiment;
  opened: OpenedStudent;
  signal: AbortSignal;
}

/** The tokens that a question and its answer may have, as in evaluation. */
function roomFor({ experiment, opened: { config } }: Inquiry): { prompt: number; answer: number } {
  const { prompt, evaluation } = experiment;
  const answer = Math.min(evaluation.maxNewTokens, config.maxPositions - 1);
  return { prompt: Math.min(prompt.maxPromptTokens, config.maxPositions - answer), answer };
}

/** Examples of each task. */
const EXAMPLES = 20;

/** Test questions and words of an experiment's student. Only those that are asked as a typed one is: with options or numbers. */
export async function exampleQuestions(
  experiment: Experiment,
  files: OpenRoot,
  students: StudentPlace | undefined,
): Promise<ExampleQuestions> {
  const { tokenizer, config } = await openStudent(experiment, files, students);
  const { tasks } = await prepare(questionsOnly(experiment), files, tokenizer, config);
  const { words } = tokenizer.tokenizer;
  return {
    examples: tasks
      .filter(({ task }) => task.kind === 'choice' || task.kind === 'number')
      .flatMap(({ config: { name }, items }) =>
        items.slice(0, EXAMPLES).map(({ question, choices = [], target }) => {
          return { taskId: name, question, options: [...choices], target };
        }),
      ),
    ...(words === undefined ? {} : { words: [...words] }),
  };
}

/** Answers questions one at a time, with the students that are kept. */
export class Asker {
  constructor(private readonly students: LoadedStudents) {}

  /**
   * @param experiment the request's, checked and resolved.
   * @throws PupilError `usage` for a question that cannot be asked, `storage` where the run left no such adapter,
   *   `checkpoint` where that belongs to another student, `cancelled` once stopped.
   */
  async ask(gpu: Gpu, request: AskRequest, experiment: Experiment, signal: AbortSignal): Promise<AskAnswer> {
    const options = (request.options ?? []).map(oneLine);
    const question = oneLine(request.question);
    expectQuestion(question, options);
    const opened = await this.students.open({ ...request, student: experiment.student });
    const inquiry: Inquiry = { gpu, request, experiment, opened, signal };
    const { tokenizer } = opened.tokenizer;
    const read = [question, ...options].map((text) => askable(tokenizer, text));
    const [first, ...choices] = read.map(({ text }) => text);
    const item = {
      id: 'asked',
      question: first!,
      target: '',
      ...(choices.length === 0 ? {} : { choices }),
    };
    const task = taskOfKind(choices.length === 0 ? 'number' : 'choice');
    const bare = request.prompt === 'cot' ? task.cotPrompt(item) : task.plainPrompt(item);
    // The prompt's own words as well: a student may know four letters of options and not a fifth.
    const unknown = [...read.flatMap((one) => one.unknown), ...tokenizer.unknownPieces(bare)];
    if (unknown.length > 0) {
      const unknownWords = [...new Set(unknown)];
      const reply = unknownWordsReply(unknownWords);
      return { prompt: bare, question: first!, text: '', cutOff: false, unknownWords, reply };
    }
    const encoder = new Encoder(experiment, opened.tokenizer, opened.config);
    const prompt = encoder.prompt(bare, request.system === 'Baseline' ? 'bare' : 'wrapped');
    const room = roomFor(inquiry);
    if (prompt.ids.length > room.prompt) {
      throw new PupilError(
        'usage',
        `ask: expected at most ${room.prompt} tokens with the prompt's own words, got ${prompt.ids.length}`,
        'Ask a shorter question.',
      );
    }
    const generator = await this.generatorOf(inquiry);
    const [answer] = await generator.generate([prompt.ids], { seed: experiment.seed, stream: 'ask', signal });
    const text = decodeAnswer(tokenizer, answer!.ids);
    const extracted = task.extract(text, item).answer;
    return {
      prompt: prompt.text,
      question: first!,
      text,
      ...(extracted === undefined ? {} : { answer: extracted }),
      cutOff: answer!.stopped === 'length',
      unknownWords: [],
    };
  }

  /** Of the student of the question, and of tuned ones its run's. What is no longer asked for is given back. */
  private async generatorOf(inquiry: Inquiry): Promise<Generator> {
    const { gpu, request, experiment, opened, signal } = inquiry;
    const { system, runId } = request;
    if (system !== 'Baseline' && runId !== undefined) {
      this.students.detach((place) => place.kind !== 'run' || place.runId !== runId);
    }
    const room = roomFor(inquiry);
    const { generator } = await this.students.generator({
      gpu,
      student: experiment.student,
      opened,
      adapter: { kind: 'run', runId, system },
      options: {
        batchSize: 1,
        maxPromptTokens: room.prompt,
        maxNewTokens: room.answer,
        temperature: experiment.evaluation.temperature,
        eosIds: opened.eosIds,
      },
      signal,
    });
    return generator;
  }
}

/** A typed text without its line breaks: in a prompt they would end the question. */
const oneLine = (text: string): string => text.trim().replace(/\s+/g, ' ');

function expectQuestion(question: string, options: readonly string[]): void {
  if (question === '') throw new PupilError('usage', 'ask: expected a question, it is empty');
  if (options.length === 1 || options.length > MAX_OPTIONS || options.includes('')) {
    throw new PupilError(
      'usage',
      `ask: expected no options, or ${LETTERS[0]} to at most ${LETTERS[MAX_OPTIONS - 1]} and none of them empty, got ${options.length}${options.includes('') ? ' with an empty one' : ''}`,
      'Leave all of them empty for a question whose answer is a number.',
    );
  }
}

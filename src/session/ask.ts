// ask.ts: a question that a person types, answered by the untouched student or by one that a run tuned. It is asked exactly as
// the test questions are (prompt, wrapper, suffix, temperature, extractor), or not at all where the student lacks a word of
// it. What was loaded for one question is kept for the next.
import { PupilError } from '../base/errors';
import type { Experiment } from '../config/experiment';
import type { Gpu } from '../gpu/device';
import { Adapter } from '../model/adapter';
import { Generator } from '../model/generator';
import type { Student } from '../model/student';
import { loadAdapterFile } from '../recipes/files';
import { openFileRoot } from '../sources/fileRoot';
import { openMemoryRoot } from '../sources/memory';
import type { RunStore } from '../storage/runStore';
import { LETTERS } from '../tasks/extract/choice';
import { taskOfKind } from '../tasks/task';
import { askable } from '../text/askable';
import { decodeAnswer } from '../text/wrapper';
import { adapterFolder } from './artefacts';
import { Encoder } from './encoder';
import { loadStudentWeights, openStudent, type OpenedStudent } from './load';
import { prepare, questionsOnly } from './prepare';
import type { AskAnswer, AskRequest, ExampleQuestions, FileRoot, SystemName } from './protocol';

/** As many options as there are letters in a student's vocabulary at most; the paper's tasks have up to five. */
const MAX_OPTIONS = 8;

interface LoadedSystem {
  adapter: Adapter | undefined;
  generator: Generator;
}

interface LoadedStudent {
  key: string;
  gpu: Gpu;
  opened: OpenedStudent;
  student: Student;
  /** By system and run. */
  systems: Map<string, LoadedSystem>;
}

/** The tokens that a question and its answer may have. */
function roomFor({ prompt, evaluation }: Experiment, { config }: OpenedStudent): { prompt: number; answer: number } {
  const answer = Math.min(evaluation.maxNewTokens, Math.floor(config.maxPositions / 2));
  return { prompt: Math.min(prompt.maxPromptTokens, config.maxPositions - answer), answer };
}

/** Examples of each task. */
const EXAMPLES = 20;

/** Test questions and words of an experiment's student. Tasks that come as whole prompts give none. */
export async function exampleQuestions(experiment: Experiment, root: FileRoot): Promise<ExampleQuestions> {
  const files = openFileRoot(root);
  const { tokenizer, config } = await openStudent(experiment, files);
  const { tasks } = await prepare(questionsOnly(experiment), files, tokenizer, config);
  const { words } = tokenizer.tokenizer;
  return {
    examples: tasks
      .filter(({ task }) => task.kind !== 'mixed')
      .flatMap(({ config: { name }, items }) =>
        items.slice(0, EXAMPLES).map(({ question, choices = [], target }) => {
          return { taskId: name, question, options: [...choices], target };
        }),
      ),
    ...(words === undefined ? {} : { words: [...words] }),
  };
}

/** Answers questions one at a time; `release` gives back all that it loaded. */
export class Asker {
  private loaded: LoadedStudent | undefined;

  constructor(private readonly store: RunStore) {}

  release(): void {
    for (const { generator, adapter } of this.loaded?.systems.values() ?? []) {
      generator.destroy();
      adapter?.destroy();
    }
    this.loaded?.student.destroy();
    this.loaded = undefined;
  }

  /**
   * @param experiment the request's, checked and resolved.
   * @throws PupilError `usage` for a question that cannot be asked, `storage` where the run left no such adapter.
   */
  async ask(gpu: Gpu, request: AskRequest, experiment: Experiment): Promise<AskAnswer> {
    const options = (request.options ?? []).map((option) => option.trim());
    expectQuestion(request.question, options);
    const { opened, student, systems } = await this.load(gpu, request, experiment);
    const { tokenizer } = opened.tokenizer;
    const [question, ...choices] = [request.question, ...options].map((text) => askable(tokenizer, text));
    const unknownWords = [...new Set([question!, ...choices].flatMap(({ unknown }) => unknown))];
    const item = {
      id: 'asked',
      question: question!.text,
      target: '',
      ...(choices.length === 0 ? {} : { choices: choices.map(({ text }) => text) }),
    };
    const task = taskOfKind(choices.length === 0 ? 'number' : 'choice');
    const bare = request.prompt === 'cot' ? task.cotPrompt(item) : task.plainPrompt(item);
    if (unknownWords.length > 0) {
      return { prompt: bare, question: item.question, text: '', cutOff: false, unknownWords };
    }
    const encoder = new Encoder(experiment, opened.tokenizer, opened.config);
    const prompt = encoder.prompt(bare, request.system === 'Baseline' ? 'bare' : 'wrapped');
    const room = roomFor(experiment, opened);
    if (prompt.ids.length > room.prompt) {
      throw new PupilError(
        'usage',
        `ask: expected at most ${room.prompt} tokens with the prompt's own words, got ${prompt.ids.length}`,
        'Ask a shorter question.',
      );
    }
    const key = JSON.stringify([request.system, request.runId ?? '']);
    let system = systems.get(key);
    if (system === undefined) {
      system = await this.loadSystem(student, experiment, opened, request);
      systems.set(key, system);
    }
    const [answer] = await system.generator.generate([prompt.ids], { seed: experiment.seed, stream: 'ask' });
    const text = decodeAnswer(tokenizer, answer!.ids);
    const extracted = task.extract(text, item).answer;
    return {
      prompt: prompt.text,
      question: item.question,
      text,
      ...(extracted === undefined ? {} : { answer: extracted }),
      cutOff: answer!.stopped === 'length',
      unknownWords,
    };
  }

  /** The request's student; the one before it is given back. */
  private async load(gpu: Gpu, request: AskRequest, experiment: Experiment): Promise<LoadedStudent> {
    const { student: config, prompt, evaluation, seed } = experiment;
    const key = JSON.stringify([placeOf(request.files), config, prompt, evaluation, seed]);
    if (this.loaded?.key === key && this.loaded.gpu === gpu) return this.loaded;
    this.release();
    const opened = await openStudent(experiment, openFileRoot(request.files));
    const student = await loadStudentWeights(gpu, experiment, opened, () => undefined, new AbortController().signal);
    return (this.loaded = { key, gpu, opened, student, systems: new Map() });
  }

  private async loadSystem(
    student: Student,
    experiment: Experiment,
    opened: OpenedStudent,
    { system, runId }: AskRequest,
  ): Promise<LoadedSystem> {
    const adapter = await this.loadAdapter(student, system, runId);
    let generator: Generator | undefined;
    try {
      const room = roomFor(experiment, opened);
      generator = new Generator(student, adapter, {
        batchSize: 1,
        maxPromptTokens: room.prompt,
        maxNewTokens: room.answer,
        temperature: experiment.evaluation.temperature,
        eosIds: opened.eosIds,
      });
      await generator.ready();
      return { adapter, generator };
    } catch (error) {
      generator?.destroy();
      adapter?.destroy();
      throw error;
    }
  }

  private async loadAdapter(
    student: Student,
    system: SystemName,
    runId: string | undefined,
  ): Promise<Adapter | undefined> {
    const folder = adapterFolder(system);
    if (folder === undefined) return undefined;
    if (runId === undefined) {
      throw new PupilError('usage', `ask: expected a run whose ${system} student is asked, none was named`);
    }
    const files: Record<string, Uint8Array> = {};
    for (const path of await this.store.listArtefacts(runId)) {
      if (path.startsWith(`${folder}/`)) files[path] = (await this.store.loadArtefact(runId, path))!;
    }
    if (Object.keys(files).length === 0) {
      throw new PupilError(
        'storage',
        `ask: run ${runId}: expected its ${system} student in ${folder}/, there is none`,
        'The run has no such phase, has not come so far, or keeps its files elsewhere.',
      );
    }
    return Adapter.fromPeft(student, await loadAdapterFile(openMemoryRoot(files), folder));
  }
}

/** Tells places apart. Contents at hand are copied on their way to a worker: the same names and sizes are the same place. */
const placeOf = (files: FileRoot): unknown =>
  files.kind === 'memory' ? Object.entries(files.files).map(([name, bytes]) => [name, bytes.byteLength]) : files;

function expectQuestion(question: string, options: readonly string[]): void {
  if (question.trim() === '') throw new PupilError('usage', 'ask: expected a question, it is empty');
  if (options.length === 1 || options.length > MAX_OPTIONS || options.includes('')) {
    throw new PupilError(
      'usage',
      `ask: expected no options, or ${LETTERS[0]} to at most ${LETTERS[MAX_OPTIONS - 1]} and none of them empty, got ${options.length}${options.includes('') ? ' with an empty one' : ''}`,
      'Leave all of them empty for a question whose answer is a number.',
    );
  }
}

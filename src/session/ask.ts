// ask.ts: a question that a person types, answered by the untouched student or by one that a run tuned. It is asked exactly as
// the test questions are (prompt, wrapper, suffix, temperature, extractor), or not at all where the student lacks a word of
// it. What was loaded for one question is kept for the next.
import { PupilError } from '../base/errors';
import type { Experiment } from '../config/experiment';
import { readAdapterNote } from '../formats/adapterNote';
import type { Gpu } from '../gpu/device';
import { Adapter } from '../model/adapter';
import { Generator } from '../model/generator';
import type { Student } from '../model/student';
import { filesIn, loadAdapterFile } from '../recipes/files';
import type { FileRoot } from '../sources/fileRoot';
import { openMemoryRoot } from '../sources/memory';
import type { OpenRoot } from '../sources/openRoot';
import type { RunStore } from '../storage/runStore';
import { LETTERS } from '../tasks/extract/choice';
import { taskOfKind } from '../tasks/task';
import { askable, unknownWordsReply } from '../text/askable';
import { decodeAnswer } from '../text/wrapper';
import { adapterFolder } from './artefacts';
import { Encoder } from './encoder';
import { loadStudentWeights, openStudent, type OpenedStudent } from './load';
import { prepare, questionsOnly } from './prepare';
import type { AskAnswer, AskRequest, ExampleQuestions, SystemName } from './protocol';

/** As many options as there are letters in a student's vocabulary at most; the paper's tasks have up to five. */
const MAX_OPTIONS = 8;

interface LoadedSystem {
  /** Whose adapter it is; the untouched student is of no run. */
  runId: string | undefined;
  adapter: Adapter | undefined;
  generator: Generator;
}

interface LoadedStudent {
  key: string;
  gpu: Gpu;
  student: Student;
  /** At most one run's. */
  systems: Map<SystemName, LoadedSystem>;
}

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
export async function exampleQuestions(experiment: Experiment, files: OpenRoot): Promise<ExampleQuestions> {
  const { tokenizer, config } = await openStudent(experiment, files);
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

/** Answers questions one at a time; `release` gives back all that it loaded. */
export class Asker {
  private loaded: LoadedStudent | undefined;
  private opened: { key: string; student: OpenedStudent } | undefined;

  constructor(
    private readonly store: RunStore,
    private readonly openRoot: (root: FileRoot) => OpenRoot,
  ) {}

  release(): void {
    for (const system of this.loaded?.systems.values() ?? []) destroySystem(system);
    this.loaded?.student.destroy();
    this.loaded = undefined;
    this.opened = undefined;
  }

  /**
   * @param experiment the request's, checked and resolved.
   * @throws PupilError `usage` for a question that cannot be asked, `storage` where the run left no such adapter,
   *   `checkpoint` where that belongs to another student, `cancelled` once stopped.
   */
  async ask(gpu: Gpu, request: AskRequest, experiment: Experiment, signal: AbortSignal): Promise<AskAnswer> {
    const options = (request.options ?? []).map(oneLine);
    const question = oneLine(request.question);
    expectQuestion(question, options);
    const opened = await this.open(request, experiment);
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
    const { generator } = await this.system(inquiry);
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

  /** Config, tokenizer and fingerprint. Contents at hand may have changed under the same names: they are read anew. */
  private async open({ files }: AskRequest, experiment: Experiment): Promise<OpenedStudent> {
    const key = files.kind === 'memory' || files.kind === 'blobs' ? '' : JSON.stringify([files, experiment.student]);
    if (key !== '' && this.opened?.key === key) return this.opened.student;
    const student = await openStudent(experiment, this.openRoot(files));
    this.opened = { key, student };
    return student;
  }

  /** The student of the question, and of tuned ones its run's. What is no longer asked for is given back. */
  private async system(inquiry: Inquiry): Promise<LoadedSystem> {
    const { request, experiment } = inquiry;
    const { systems, student } = await this.load(inquiry);
    const runId = request.system === 'Baseline' ? undefined : request.runId;
    for (const [name, system] of systems) {
      if (name === 'Baseline' || runId === undefined || system.runId === runId) continue;
      destroySystem(system);
      systems.delete(name);
    }
    const known = systems.get(request.system);
    if (known !== undefined) return known;
    const adapter = await this.loadAdapter(student, inquiry);
    let generator: Generator | undefined;
    try {
      const room = roomFor(inquiry);
      generator = new Generator(student, adapter, {
        batchSize: 1,
        maxPromptTokens: room.prompt,
        maxNewTokens: room.answer,
        temperature: experiment.evaluation.temperature,
        eosIds: inquiry.opened.eosIds,
      });
      await generator.ready();
      const system = { runId, adapter, generator };
      systems.set(request.system, system);
      return system;
    } catch (error) {
      generator?.destroy();
      adapter?.destroy();
      throw error;
    }
  }

  /** The request's student; the one before it is given back. */
  private async load({ gpu, experiment, opened, signal }: Inquiry): Promise<LoadedStudent> {
    const { student: config, prompt, evaluation } = experiment;
    const key = JSON.stringify([opened.report.fingerprint, config, prompt, evaluation]);
    if (this.loaded?.key === key && this.loaded.gpu === gpu) return this.loaded;
    const before = this.opened;
    this.release();
    this.opened = before;
    const student = await loadStudentWeights(gpu, experiment, opened, () => undefined, signal);
    return (this.loaded = { key, gpu, student, systems: new Map() });
  }

  private async loadAdapter(student: Student, { request, opened }: Inquiry): Promise<Adapter | undefined> {
    const { system, runId } = request;
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
    const root = openMemoryRoot(files);
    const note = await readAdapterNote(filesIn(root, folder));
    const { fingerprint } = opened.report;
    if (
      note !== undefined &&
      (note.student.fingerprint !== fingerprint || note.student.quantize !== student.quantization)
    ) {
      throw new PupilError(
        'checkpoint',
        `ask: run ${runId}: expected an adapter of the student ${fingerprint} (${student.quantization}), it was trained on ${note.student.fingerprint} (${note.student.quantize})`,
        'Ask with the experiment and the student of that run.',
      );
    }
    return Adapter.fromPeft(student, await loadAdapterFile(root, folder));
  }
}

function destroySystem({ generator, adapter }: LoadedSystem): void {
  generator.destroy();
  adapter?.destroy();
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

// ask.svelte.ts: the question box: what is typed, whom it can be asked, and what was answered. Prompts, extraction and the
// vocabulary are the session's.
import type {
  AskAnswer,
  AskRequest,
  ExampleQuestions,
  PromptKind,
  SessionApi,
  SystemName,
} from '../../session/protocol';
import { toNotice, type Notice } from './notice';
import { systemsOf } from './systems';

/** Where the systems are that can be asked: an experiment, and a run of it that left its adapters. */
export interface AskPlace {
  experiment: unknown;
  files: AskRequest['files'];
  runId?: string;
}

/** One system's answer; `answer` comes when it is there. */
export interface Asked {
  system: SystemName;
  answer?: AskAnswer;
}

type Example = ExampleQuestions['examples'][number];

export class AskBox {
  question = $state('');
  /** One option a line; empty for a question whose answer is a number. */
  optionsText = $state('');
  prompt = $state<PromptKind>('cot');
  asking = $state(false);
  /** What was asked, as the answers below belong to it. */
  askedQuestion = $state('');
  answers = $state.raw<readonly Asked[]>([]);
  /** The right answer, where the question was an example. */
  target = $state<string>();
  words = $state.raw<readonly string[]>();
  notice = $state.raw<Notice>();
  private example: Example | undefined;
  private examples: { place: string; left: Example[]; all: Example[] } | undefined;

  constructor(
    private readonly session: SessionApi,
    private readonly findPlace: () => Promise<AskPlace>,
  ) {}

  readonly options = $derived(
    this.optionsText
      .split('\n')
      .map((line) => line.trim())
      .filter((line) => line !== ''),
  );

  /** What is said in place of answers: words of the question that the student lacks, the same for every system. */
  readonly reply = $derived(this.answers.find(({ answer }) => answer?.reply !== undefined)?.answer?.reply);

  /** Puts the next test question into the fields: tasks in turn, so that each kind is met early. */
  async fillExample(): Promise<void> {
    await this.guarded(async () => {
      const place = await this.findPlace();
      const key = JSON.stringify([place.experiment, place.files]);
      if (this.examples?.place !== key) {
        const { examples, words } = await this.session.exampleQuestions(place);
        this.words = words;
        const all = inTurn(examples);
        this.examples = { place: key, left: [...all], all };
      }
      const { examples } = this;
      if (examples.left.length === 0) examples.left = [...examples.all];
      const next = examples.left.shift();
      if (next === undefined) return;
      this.question = next.question;
      this.optionsText = next.options.join('\n');
      this.example = next;
    });
  }

  /** Asks every system that is there, one after the other. */
  async ask(): Promise<void> {
    await this.guarded(async () => {
      const { question, options, prompt, example } = this;
      const place = await this.findPlace();
      const systems = await systemsOf(this.session, place.runId);
      const same = example?.question === question && example.options.join('\n') === options.join('\n');
      this.target = same ? example.target : undefined;
      this.askedQuestion = question;
      this.answers = systems.map((system) => ({ system }));
      for (const system of systems) {
        const result = await this.session.ask({ ...place, system, question, options, prompt });
        this.answers = this.answers.map((one) => (one.system === system ? { system, answer: result } : one));
        if (result.unknownWords.length > 0) {
          this.answers = [{ system, answer: result }]; // all of them share the vocabulary
          this.words ??= (await this.session.exampleQuestions(place)).words;
          return;
        }
      }
    });
  }

  private async guarded(work: () => Promise<void>): Promise<void> {
    if (this.asking) return;
    this.asking = true;
    this.notice = undefined;
    try {
      await work();
    } catch (error) {
      this.notice = toNotice(error);
      this.answers = this.answers.filter(({ answer }) => answer !== undefined);
    } finally {
      this.asking = false;
    }
  }
}

/** The first of each task, then the second of each, … */
function inTurn(examples: readonly Example[]): Example[] {
  const tasks = [...new Set(examples.map(({ taskId }) => taskId))];
  const lists = tasks.map((task) => examples.filter(({ taskId }) => taskId === task));
  const longest = Math.max(0, ...lists.map((list) => list.length));
  return Array.from({ length: longest }, (_, i) => lists.flatMap((list) => list.slice(i, i + 1))).flat();
}

// ask.svelte.ts: the before/after box: what is typed, and what each of the four students of the lesson answers to it. Prompts,
// extraction and the vocabulary are the session's.
import type { AskAnswer, AskRequest, ExampleQuestions, SessionApi } from '../../session/protocol';
import { toNotice, type Notice } from '../state/notice';
import { systemsOf } from '../state/systems';
import { FOUR, type Compared } from './fourSystems';

/** Where the systems are that can be asked: an experiment, and a run of it that left its adapters. */
export interface AskPlace {
  experiment: unknown;
  files: AskRequest['files'];
  runId?: string;
}

/** One student's place in the row. */
export interface Asked extends Compared {
  /** `missing`: the run has not come so far. */
  state: 'waiting' | 'asking' | 'answered' | 'missing';
  answer?: AskAnswer;
}

type Example = ExampleQuestions['examples'][number];

export class AskBox {
  question = $state('');
  kind = $state<'number' | 'options'>('number');
  /** One option a line. */
  optionsText = $state('');
  asking = $state(false);
  /** What was asked, as the answers below belong to it. */
  askedQuestion = $state('');
  askedOptions = $state.raw<readonly string[]>([]);
  answers = $state.raw<readonly Asked[]>([]);
  /** The right answer, where the question was an example. */
  target = $state<string>();
  words = $state.raw<readonly string[]>();
  notice = $state.raw<Notice>();
  private example: Example | undefined;
  private examples: { place: string; all: Example[]; next: Map<string, number> } | undefined;

  constructor(
    private readonly session: SessionApi,
    private readonly findPlace: () => Promise<AskPlace>,
  ) {}

  readonly options = $derived(
    this.kind === 'number'
      ? []
      : this.optionsText
          .split('\n')
          .map((line) => line.trim())
          .filter((line) => line !== ''),
  );

  /** What is said in place of answers: words of the question that the student lacks, the same for every system. */
  readonly reply = $derived(this.answers.find(({ answer }) => answer?.reply !== undefined)?.answer?.reply);

  /** Puts a task's next test question into the fields. */
  async fillExample(taskId: string): Promise<void> {
    await this.guarded(async () => {
      const place = await this.findPlace();
      const key = JSON.stringify([place.experiment, place.files]);
      if (this.examples?.place !== key) {
        const { examples, words } = await this.session.exampleQuestions(place);
        this.words = words;
        this.examples = { place: key, all: examples, next: new Map() };
      }
      const { all, next } = this.examples;
      const own = all.filter((example) => example.taskId === taskId);
      const at = next.get(taskId) ?? 0;
      const example = own[at % Math.max(1, own.length)];
      if (example === undefined) return;
      next.set(taskId, at + 1);
      this.question = example.question;
      this.kind = example.options.length === 0 ? 'number' : 'options';
      if (example.options.length > 0) this.optionsText = example.options.join('\n');
      this.example = example;
    });
  }

  /** Asks every one that is there, one after the other. */
  async ask(): Promise<void> {
    await this.guarded(async () => {
      const { question, options, example } = this;
      const place = await this.findPlace();
      const there = await systemsOf(this.session, place.runId);
      const same = example?.question === question && example.options.join('\n') === options.join('\n');
      this.target = same ? example.target : undefined;
      this.askedQuestion = question;
      this.askedOptions = options;
      this.answers = FOUR.map((one) => ({ ...one, state: there.includes(one.system) ? 'waiting' : 'missing' }));
      for (const one of FOUR.filter(({ system }) => there.includes(system))) {
        this.put({ ...one, state: 'asking' });
        const { system, prompt } = one;
        const answer = await this.session.ask({ ...place, system, question, options, prompt });
        this.put({ ...one, state: 'answered', answer });
        if (answer.unknownWords.length > 0) {
          this.words ??= (await this.session.exampleQuestions(place)).words; // all of them share the vocabulary
          return;
        }
      }
    });
  }

  private put(asked: Asked): void {
    this.answers = this.answers.map((one) => (one.id === asked.id ? asked : one));
  }

  private async guarded(work: () => Promise<void>): Promise<void> {
    if (this.asking) return;
    this.asking = true;
    this.notice = undefined;
    try {
      await work();
    } catch (error) {
      this.notice = toNotice(error);
      // What was answered stays; what was not, is not waited for.
      if (this.answers.every(({ answer }) => answer === undefined)) this.answers = [];
      else this.answers = this.answers.map((one) => (one.answer === undefined ? { ...one, state: 'missing' } : one));
    } finally {
      this.asking = false;
    }
  }
}

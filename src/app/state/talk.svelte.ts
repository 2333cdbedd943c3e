// talk.svelte.ts: free talk with a student: who it is, who of a run answers beside it, what was said, and the answers as they come.
// Prompts, templates and probabilities are the session's.
import { PupilError } from '../../base/errors';
import type {
  ChatMessage,
  FileRoot,
  SessionApi,
  SystemName,
  TalkAnswer,
  TalkEvent,
  TalkRequest,
  TalkStudent,
  TalkToken,
} from '../../session/protocol';
import type { AskPlace } from '../lesson/ask.svelte';
import { toNotice, type Notice } from './notice';
import type { ChosenStudent } from './student.svelte';
import { systemsOf } from './systems';

export type TalkSource = 'experiment' | 'bundled' | 'address' | 'chosen';
export type TalkMode = 'chat' | 'completion';

/** Text that is settled, with the tokens that make it. */
export interface TalkPiece {
  text: string;
  tokens: readonly TalkToken[];
}

/** One system's answer, as far as it is there. */
export class Heard {
  pieces = $state.raw<readonly TalkPiece[]>([]);
  /** Set when it has ended. */
  answer = $state.raw<TalkAnswer>();
  readonly text = $derived(this.pieces.map((piece) => piece.text).join(''));

  constructor(readonly system: SystemName) {}
}

/** What a person said, and who answered. */
export interface Said {
  mode: TalkMode;
  text: string;
  heard: readonly Heard[];
}

/** A student, and the run whose systems answer beside it. */
interface Place {
  files: FileRoot;
  student: unknown;
  runId?: string;
}

/** Alternatives told with every token. */
const ALTERNATIVES = 5;

export class TalkBox {
  source = $state<TalkSource>('experiment');
  address = $state('');
  /** The one that was looked at under Student, where one was. */
  chosen = $state.raw<ChosenStudent>();
  /** Of a student from an address; an experiment says its own. */
  quantize = $state<'none' | 'nf4' | 'nf4-double'>('nf4');
  wantedMode = $state<TalkMode>('chat');
  text = $state('');
  systemPrompt = $state('');
  maxNewTokens = $state(96);
  temperature = $state(0);
  topP = $state(1);
  topK = $state(0);
  seed = $state(0);
  /** One a line. */
  stopText = $state('');
  /** Colour every token by its probability. */
  coloured = $state(true);

  /** Who can answer, and who of them will. */
  systems = $state.raw<readonly SystemName[]>(['Baseline']);
  unwanted = $state.raw<ReadonlySet<SystemName>>(new Set());
  student = $state.raw<TalkStudent>();
  said = $state.raw<readonly Said[]>([]);
  talking = $state(false);
  /** What it is at before the first token. */
  loading = $state('');
  notice = $state.raw<Notice>();
  private looked = '';
  private lookedIn = '';
  private stopped = false;

  constructor(
    private readonly session: SessionApi,
    private readonly findPlace: () => Promise<AskPlace>,
    private readonly pageBase: string,
  ) {}

  /** A student without a chat template can only continue texts. */
  readonly mode = $derived<TalkMode>(this.student?.chat === false ? 'completion' : this.wantedMode);
  readonly wanted = $derived(this.systems.filter((system) => !this.unwanted.has(system)));
  readonly canSend = $derived(this.text.trim() !== '' && this.wanted.length > 0 && !this.talking);

  /** Another student: what was said was said to the one before. */
  choose(source: TalkSource): void {
    this.source = source;
    this.student = undefined;
    this.looked = '';
    this.lookedIn = '';
    this.forget();
  }

  /** A student looked at elsewhere in the page; undefined: the experiment's. */
  take(student: ChosenStudent | undefined): void {
    if (this.talking) return;
    this.chosen = student ?? this.chosen;
    this.choose(student === undefined ? 'experiment' : 'chosen');
  }

  want(system: SystemName, wanted: boolean): void {
    const unwanted = new Set(this.unwanted);
    if (wanted) unwanted.delete(system);
    else unwanted.add(system);
    this.unwanted = unwanted;
  }

  /** Begins anew. */
  forget(): void {
    this.said = [];
    this.notice = undefined;
  }

  /**
   * Reads who can be talked with and how, before anything is said; no weights.
   * @param circumstances what the answer depends on: where it is as before nothing is read.
   */
  async look(circumstances: string): Promise<void> {
    if (this.talking || circumstances === this.lookedIn) return;
    this.lookedIn = circumstances;
    try {
      await this.find();
      this.notice = undefined;
    } catch (error) {
      this.student = undefined;
      this.notice = toNotice(error);
    }
  }

  /** Sends what is typed to everybody who is wanted, one after the other. */
  async send(): Promise<void> {
    if (!this.canSend) return;
    this.talking = true;
    this.stopped = false;
    this.notice = undefined;
    const before = this.said;
    const { text } = this;
    try {
      const place = await this.find();
      const { mode } = this;
      const heard = this.wanted.map((system) => new Heard(system));
      this.said = [...before, { mode, text, heard }];
      this.text = '';
      for (const one of heard) {
        if (this.stopped) break;
        await this.ask(place, one, mode === 'chat' ? this.messagesFor(one.system, before, text) : undefined, text);
      }
    } catch (error) {
      this.notice = toNotice(error);
      // What nobody answered is not part of the conversation: it goes back to be said differently.
      const last = this.said.at(-1);
      if (last !== undefined && last.heard.every((one) => one.answer === undefined)) {
        this.said = before;
        if (this.text === '') this.text = text;
      }
    } finally {
      this.talking = false;
      this.loading = '';
    }
  }

  /** Ends the answer under way; those that wait are not asked. */
  async stop(): Promise<void> {
    if (!this.talking) return;
    this.stopped = true;
    await this.session.stop();
  }

  private async ask(place: Place, heard: Heard, messages: ChatMessage[] | undefined, text: string): Promise<void> {
    const { files, student, runId } = place;
    const { maxNewTokens, temperature, topK, topP, seed } = this;
    const stop = this.stopText.split('\n').filter((line) => line !== '');
    const request: TalkRequest = {
      files,
      student,
      ...(heard.system === 'Baseline' || runId === undefined ? {} : { adapter: { runId, system: heard.system } }),
      ...(messages === undefined ? { text } : { messages }),
      maxNewTokens,
      temperature,
      topK,
      topP,
      seed,
      stop,
      topLogprobs: ALTERNATIVES,
    };
    this.loading = 'Reading …';
    heard.answer = await this.session.talk(request, (event) => this.hear(heard, event));
  }

  private hear(heard: Heard, event: TalkEvent): void {
    switch (event.type) {
      case 'progress': {
        const { task, done, total } = event.progress;
        this.loading = total === undefined || total <= 0 ? task : `${task}: ${Math.floor((100 * done) / total)} %`;
        return;
      }
      case 'start':
        this.loading = '';
        return;
      case 'piece':
        heard.pieces = [...heard.pieces, { text: event.text, tokens: event.tokens }];
        return;
    }
  }

  /** The conversation as this system had it: one that was not asked has not heard it. */
  private messagesFor(system: SystemName, before: readonly Said[], text: string): ChatMessage[] {
    const turns = before.flatMap((said): ChatMessage[] => {
      const answer = said.heard.find((one) => one.system === system)?.answer;
      if (said.mode !== 'chat' || answer === undefined) return [];
      return [
        { role: 'user', content: said.text },
        { role: 'assistant', content: answer.text },
      ];
    });
    const first: ChatMessage[] =
      this.systemPrompt.trim() === '' ? [] : [{ role: 'system', content: this.systemPrompt.trim() }];
    return [...first, ...turns, { role: 'user', content: text }];
  }

  /** Where the student is; looks at it where it has not been looked at. */
  private async find(): Promise<Place> {
    const place = await this.placeOf();
    const key = JSON.stringify([place.student, place.runId, place.files.kind === 'http' ? place.files : '']);
    // Picked files may be others under the same names.
    if (key !== this.looked || this.student === undefined || place.files.kind !== 'http') {
      this.student = await this.session.talkStudent({ files: place.files, student: place.student });
      this.systems = await systemsOf(this.session, place.runId);
      this.looked = key;
    }
    return place;
  }

  private async placeOf(): Promise<Place> {
    const files: FileRoot = { kind: 'http', base: this.pageBase };
    switch (this.source) {
      case 'bundled':
        return { files, student: { source: { kind: 'bundled', name: 'lesson' }, quantize: 'none' } };
      case 'address':
        return { files, student: { source: { kind: 'url', url: this.address.trim() }, quantize: this.quantize } };
      case 'chosen':
        if (this.chosen === undefined) throw new PupilError('usage', 'Choose a student under Student.');
        return this.chosen;
      case 'experiment': {
        const { experiment, files: own, runId } = await this.findPlace();
        const { student } = experiment as { student: unknown };
        return { files: own, student, ...(runId === undefined ? {} : { runId }) };
      }
    }
  }
}

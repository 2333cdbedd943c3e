// decodeRows.ts: who is decoded in which row of the batch. Finished sequences leave, the rows close up, and waiting prompts
// come in, so that no row is computed for nothing. Plain data, the same for equal answers; the GPU's part is generator.ts.

/** A finished answer. */
export interface Answer {
  /** New ids only, without the end token. */
  ids: number[];
  stopped: 'eos' | 'length';
}

/** A prompt under way. */
export interface Decoding {
  /** Its index among the prompts. */
  readonly prompt: number;
  /** Its part of the key-value cache, which it keeps until it leaves. */
  readonly place: number;
  /** New ids so far. */
  readonly ids: number[];
}

/** Waiting prompts come in together, when at least one place in so many is free: each prefill has a cost of its own. */
const ADMIT_AT = 8;

export class DecodeRows {
  /** What each row of the batch decodes, those without a token yet first. */
  rows: Decoding[] = [];
  private readonly answers: (Answer | undefined)[];
  private readonly freePlaces: number[];
  private waiting = 0; // first prompt that has not come in
  private finished = 0;
  private prefix = 0;

  constructor(
    prompts: number,
    private readonly places: number,
  ) {
    this.answers = new Array<Answer | undefined>(prompts).fill(undefined);
    this.freePlaces = Array.from({ length: places }, (_, place) => place);
  }

  get done(): boolean {
    return this.finished === this.answers.length;
  }

  /** Answers that are complete, in whatever order. */
  get completed(): number {
    return this.finished;
  }

  /** The answers before the first incomplete one, in the prompts' order. */
  answersInOrder(): Answer[] {
    while (this.answers[this.prefix] !== undefined) this.prefix++;
    return this.answers.slice(0, this.prefix) as Answer[];
  }

  /** Lets waiting prompts in, into the first rows, if it is worth it. Returns how many came. */
  admit(): number {
    const left = this.answers.length - this.waiting;
    const free = this.freePlaces.length;
    if (free < left && free * ADMIT_AT < this.places) return 0;
    const fresh: Decoding[] = [];
    while (this.freePlaces.length > 0 && this.waiting < this.answers.length) {
      fresh.push({ prompt: this.waiting++, place: this.freePlaces.shift()!, ids: [] });
    }
    this.rows = [...fresh, ...this.rows];
    return fresh.length;
  }

  /**
   * Takes each row's new ids and, where it has ended, why. Ended sequences leave the batch.
   * @returns whether any left: the rows have moved then.
   */
  take(news: readonly { ids: ArrayLike<number>; stopped?: Answer['stopped'] | undefined }[]): boolean {
    const staying = this.rows.filter((row, r) => {
      const { ids, stopped } = news[r]!;
      for (let i = 0; i < ids.length; i++) row.ids.push(ids[i]!);
      if (stopped === undefined) return true;
      // The end token is emitted as well; it is not part of the answer.
      this.answers[row.prompt] = { ids: stopped === 'eos' ? row.ids.slice(0, -1) : row.ids, stopped };
      this.finished++;
      this.freePlaces.push(row.place);
      return false;
    });
    const moved = staying.length < this.rows.length;
    this.rows = staying;
    return moved;
  }
}

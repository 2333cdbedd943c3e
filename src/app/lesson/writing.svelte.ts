// writing.svelte.ts: how much of a text is written by now, letter by letter, and which of several texts it is; for demonstrations
// that are there at once and are to be read one after the other. Time is given to it.

const LETTERS_PER_SECOND = 42;
/** To read what is written before the next one begins. */
const READ_MS = 2600;

export class Writing {
  index = $state(0);
  letters = $state(0);
  private restedMs = 0;
  private carry = 0;

  /** So much time passed; `lengths` are those of the texts. */
  advance(ms: number, lengths: readonly number[]): void {
    if (this.index >= lengths.length) this.index = Math.max(0, lengths.length - 1);
    const length = lengths[this.index] ?? 0;
    if (this.letters < length) {
      this.carry += (ms / 1000) * LETTERS_PER_SECOND;
      const whole = Math.floor(this.carry);
      this.carry -= whole;
      this.letters = Math.min(length, this.letters + whole);
      return;
    }
    this.restedMs += ms;
    if (this.restedMs < READ_MS || lengths.length < 2) return;
    this.show((this.index + 1) % lengths.length);
  }

  /** Begins with a text; `whole`: without writing it. */
  show(index: number, whole = false): void {
    this.index = index;
    this.letters = whole ? Number.MAX_SAFE_INTEGER : 0;
    this.restedMs = 0;
    this.carry = 0;
  }
}

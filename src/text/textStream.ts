// textStream.ts: the text of tokens that arrive one by one, handed on in pieces that later tokens do not change: a character
// whose bytes are spread over several tokens is held back until all of them are there, and so is what might be the beginning
// of a text that ends the answer. The pieces together are what the tokenizer makes of all ids at once. It generates nothing.
import type { TextTokenizer } from './tokenizer';

/** Text that some tokens make together; mostly one. */
export interface TextPiece {
  text: string;
  /** How many ids it is made of. */
  tokens: number;
}

/** Ids behind which the window of what is decoded again is cut, and those that stay as what later ones join on to. */
const WINDOW = 24;
const CONTEXT = 6;
/** What stands for bytes that are no character, or not yet. */
const INCOMPLETE = '\ufffd';
/** Tokenizers that clean up remove a space in front of signs and of English endings: " n't", " 're", " ' ", " ." */
const MAY_BE_CLEANED = /(?: ['nvr ]*|')$/;

/** Ids to text, as far as it is settled. */
export class TextStream {
  /** The last ids that were told, which decide how the next ones join on, and those that were not. */
  private window: number[] = [];
  /** Characters of the window's text that were told. */
  private told = 0;
  private waiting = 0;

  constructor(private readonly tokenizer: TextTokenizer) {}

  /** The piece that the id completes; undefined while the text may still change. */
  push(id: number): TextPiece | undefined {
    this.window.push(id);
    this.waiting++;
    const text = this.tokenizer.decode(this.window);
    return this.tell(text, settledLength(text));
  }

  /** What is still held back, complete or not. */
  finish(): TextPiece | undefined {
    const text = this.tokenizer.decode(this.window);
    return this.tell(text, text.length) ?? (this.waiting > 0 ? this.piece('') : undefined);
  }

  private tell(text: string, end: number): TextPiece | undefined {
    if (end <= this.told) return undefined;
    const piece = this.piece(text.slice(this.told, end));
    this.told = end;
    if (end === text.length && this.window.length > WINDOW) {
      const context = this.window.slice(-CONTEXT);
      const before = this.tokenizer.decode(context);
      // Control tokens alone would make the next token the first of a text, which loses its space.
      if (before.trim() !== '') {
        this.window = context;
        this.told = before.length;
      }
    }
    return piece;
  }

  private piece(text: string): TextPiece {
    const piece = { text, tokens: this.waiting };
    this.waiting = 0;
    return piece;
  }
}

/** Characters of a text that no later token changes. */
function settledLength(text: string): number {
  if (text.endsWith(INCOMPLETE)) return text.length - INCOMPLETE.length;
  return text.length - (MAY_BE_CLEANED.exec(text)?.[0].length ?? 0);
}

/** Pieces up to the first of some texts, which is left out with all that follows. */
export class StopTexts<Piece extends { text: string }> {
  private held: Piece[] = [];
  private readonly stops: readonly string[];

  constructor(stops: readonly string[]) {
    this.stops = stops.filter((stop) => stop !== '');
  }

  /** The pieces that are now certain to stand before any of the texts, and whether one of them has come. */
  push(piece: Piece): { pieces: Piece[]; stopped: boolean } {
    this.held.push(piece);
    const text = this.held.map((one) => one.text).join('');
    const found = this.stops.map((stop) => text.indexOf(stop)).filter((at) => at >= 0);
    if (found.length > 0) return { pieces: this.cut(Math.min(...found)), stopped: true };
    return { pieces: this.release(text.length - this.beginningAt(text)), stopped: false };
  }

  /** What is held back when the answer ends without one of the texts. */
  finish(): Piece[] {
    return this.held.splice(0);
  }

  /** Characters at the end that may be the beginning of one of the texts. */
  private beginningAt(text: string): number {
    let most = 0;
    for (const stop of this.stops) {
      for (let n = Math.min(stop.length - 1, text.length); n > most; n--) {
        if (text.endsWith(stop.slice(0, n))) most = n;
      }
    }
    return most;
  }

  /** Whole pieces within the first `end` characters. */
  private release(end: number): Piece[] {
    let at = 0;
    const count = this.held.findIndex(({ text }) => (at += text.length) > end);
    return this.held.splice(0, count < 0 ? this.held.length : count);
  }

  /** Pieces up to `end`, the last one shortened. */
  private cut(end: number): Piece[] {
    const pieces = this.release(end);
    const rest = end - pieces.reduce((sum, { text }) => sum + text.length, 0);
    if (rest > 0) pieces.push({ ...this.held[0]!, text: this.held[0]!.text.slice(0, rest) });
    this.held = [];
    return pieces;
  }
}

// talkTokens.ts: tokens as the generator draws them → events for a reader: settled text with the tokens that make it, up to the
// first text that ends the answer. It draws nothing.
import type { NewTokens, TokenProbability } from '../model/tokenProbabilities';
import { StopTexts, TextStream, type TextPiece } from '../text/textStream';
import type { TextTokenizer } from '../text/tokenizer';
import type { TalkEvent, TalkToken } from './talkProtocol';

type Piece = Extract<TalkEvent, { type: 'piece' }>;

export class TalkTokens {
  /** What was told so far. */
  text = '';
  /** Drawn so far, without an end token. */
  readonly ids: number[] = [];
  private readonly stream: TextStream;
  private readonly stops: StopTexts<Piece>;
  /** Drawn, and not yet part of a piece. */
  private readonly waiting: TalkToken[] = [];
  private before: number | undefined;

  /** @param prompt whose last token decides how the first one reads. */
  constructor(
    private readonly tokenizer: TextTokenizer,
    prompt: readonly number[],
    stop: readonly string[],
    private readonly onEvent: (event: TalkEvent) => void,
  ) {
    this.stream = new TextStream(tokenizer);
    this.stops = new StopTexts(stop);
    this.before = prompt.at(-1);
  }

  /** Tells what is settled. Returns whether a text that ends the answer has come; nothing is told after it. */
  take({ ids, probabilities, stopped }: NewTokens): boolean {
    for (const [i, id] of ids.entries()) {
      const isEnd = stopped === 'eos' && i === ids.length - 1;
      const token = this.tokenOf(id, probabilities?.[i], isEnd);
      if (isEnd) {
        if (this.finish()) return true;
        this.tell([{ type: 'piece', text: '', tokens: [token] }]);
        return false;
      }
      this.ids.push(id);
      this.waiting.push(token);
      if (this.push(this.stream.push(id))) return true;
    }
    return false;
  }

  /** Tells what was held back: the answer has ended. Returns whether a text that ends it was among that. */
  finish(): boolean {
    if (this.push(this.stream.finish())) return true;
    this.tell(this.stops.finish());
    return false;
  }

  private push(settled: TextPiece | undefined): boolean {
    if (settled === undefined) return false;
    const tokens = this.waiting.splice(0, settled.tokens);
    const { pieces, stopped } = this.stops.push({ type: 'piece', text: settled.text, tokens });
    this.tell(pieces);
    return stopped;
  }

  private tell(pieces: readonly Piece[]): void {
    for (const piece of pieces) {
      this.text += piece.text;
      this.onEvent(piece);
    }
  }

  private tokenOf(id: number, probability: TokenProbability | undefined, isEnd: boolean): TalkToken {
    const { before } = this;
    this.before = id;
    const text = (one: number): string => tokenText(this.tokenizer, one, before);
    return {
      id,
      text: text(id),
      ...(probability === undefined
        ? {}
        : {
            logprob: probability.logprob,
            alternatives: probability.alternatives.map((one) => ({ ...one, text: text(one.id) })),
          }),
      ...(isEnd ? { end: true as const } : {}),
    };
  }
}

/** A token by itself, as it reads behind another: " word" and not "word" where it brings a space. */
export function tokenText(tokenizer: TextTokenizer, id: number, before: number | undefined): string {
  const read = (ids: number[]): string => tokenizer.decode(ids, { skipSpecial: false });
  const alone = read([id]);
  if (before === undefined) return alone;
  const [context, both] = [read([before]), read([before, id])];
  return context.trim() !== '' && both.startsWith(context) ? both.slice(context.length) : alone;
}

// encoder.ts: prompts and answers as token ids, by the rules of one experiment: wrapper, suffix, tokenizer. One rule for training,
// sampling, evaluation and questions that a person types.
import { PupilError } from '../base/errors';
import type { Experiment } from '../config/experiment';
import type { PromptTokens } from '../recipes/pairs';
import { literalText } from '../text/conversation';
import { encodeAnswer, encodePrompt, splitPrompt, wrapPrompt } from '../text/wrapper';
import { answerEndId, type LoadedTokenizer } from './tokenizers';

/** The student's sizes that decide what fits. */
export interface StudentSizes {
  vocabSize: number;
  maxPositions: number;
}

/** The untouched student is asked with bare prompts, tuned ones with wrapped prompts. */
export type Wrap = 'bare' | 'wrapped';

/** Ids of which only the number counts, one array a length: a plan holds tens of thousands of prompts. */
const UNTOLD: (readonly number[])[] = [];
const untold = (length: number): readonly number[] => (UNTOLD[length] ??= new Array<number>(length).fill(0));

/** Remembers which words the vocabulary cannot express. */
export class Encoder {
  readonly unknown = new Set<string>();
  /** What ends an answer under this wrapper. */
  readonly endId: number;

  /**
   * @param lengthsOnly everything is encoded and checked, and of the result only the lengths are kept: no text, ids without
   *   meaning.
   * @throws PupilError `text` where nothing can end an answer.
   */
  constructor(
    private readonly experiment: Pick<Experiment, 'prompt'>,
    private readonly loaded: LoadedTokenizer,
    private readonly sizes: StudentSizes,
    private readonly lengthsOnly = false,
  ) {
    this.endId = answerEndId(loaded, experiment.prompt.wrapper);
  }

  /**
   * Whether texts can be encoded at all: a vocabulary of whole words has nothing for others, and they are remembered. One of
   * smaller pieces can say anything.
   */
  canSay(...texts: string[]): boolean {
    const { tokenizer } = this.loaded;
    if (tokenizer.words === undefined) return true;
    const lacking = texts.flatMap((text) => tokenizer.unknownPieces(text));
    for (const word of lacking) this.unknown.add(word);
    return lacking.length === 0;
  }

  prompt(text: string, wrap: Wrap): PromptTokens {
    const { tokenizer, chatTemplate } = this.loaded;
    const { wrapper, promptSuffix } = this.experiment.prompt;
    const options = { promptSuffix, ...(chatTemplate === undefined ? {} : { chatTemplate }) };
    const full = wrapPrompt(splitPrompt(text), { ...options, wrapper: wrap === 'bare' ? 'none' : wrapper }, tokenizer);
    const ids = this.checked(encodePrompt(tokenizer, full), full.text);
    return { text: this.lengthsOnly ? '' : full.text, ids };
  }

  answer(text: string): readonly number[] {
    return this.checked(encodeAnswer(this.loaded.tokenizer, text, this.endId), text);
  }

  option(text: string): readonly number[] {
    return this.checked(this.loaded.tokenizer.encode(text, { literal: literalText(text).literal }), text);
  }

  private checked(ids: readonly number[], text: string): readonly number[] {
    for (const piece of this.loaded.tokenizer.unknownPieces(text)) this.unknown.add(piece);
    const bad = ids.find((id) => id >= this.sizes.vocabSize);
    if (bad !== undefined) {
      throw new PupilError(
        'text',
        `tokenizer: expected ids below ${this.sizes.vocabSize}, the student’s vocabulary, got ${bad} for ${JSON.stringify(text.slice(0, 60))}`,
        'Tokenizer and student do not belong together: check student.tokenizer.',
      );
    }
    return this.lengthsOnly ? untold(ids.length) : ids;
  }
}

// talkOutput.ts: what `pupil generate` shows of an answer while it comes: text as it is settled, or a line for every token with its
// probability, or JSON lines. It asks nobody.
import type { TalkAnswer, TalkEvent, TalkToken } from '../session/protocol';
import type { Output } from './output';

/** Shows one answer of one system. */
export class TalkOutput {
  /** Characters of the line that is being written. */
  private open = false;

  constructor(
    private readonly output: Output,
    /** Whose answer it is. */
    private readonly system: string,
    private readonly options: { probabilities: boolean; labelled: boolean },
  ) {}

  readonly event = (event: TalkEvent): void => {
    const { output, system } = this;
    if (output.json) {
      if (event.type !== 'progress') output.result(event.type, { system, ...withoutType(event) }, () => '');
      return;
    }
    switch (event.type) {
      case 'progress':
        return output.progress(event.progress);
      case 'start':
        if (event.droppedMessages > 0) {
          output.note(`(the context has no room for the first ${event.droppedMessages} messages: left out)`);
        }
        if (this.options.labelled) output.write(`— ${system}\n`);
        return;
      case 'piece':
        if (this.options.probabilities) for (const token of event.tokens) output.write(`${tokenLine(token)}\n`);
        else if (event.text !== '') {
          output.write(event.text);
          this.open = !event.text.endsWith('\n');
        }
        return;
    }
  };

  /** Ends the answer. */
  answer(answer: TalkAnswer): void {
    const { output, system } = this;
    if (output.json) {
      output.result('answer', { system, ...answer }, () => '');
      return;
    }
    if (this.open) output.write('\n');
    this.open = false;
    if (answer.unknownWords.length > 0) {
      output.note(`(unknown to this student, read as something else: ${answer.unknownWords.join(', ')})`);
    }
    for (const note of answer.notes) output.note(`(${note})`);
    const { promptTokens, newTokens } = answer.usage;
    output.note(
      `(${promptTokens} + ${newTokens} tokens, ${answer.tokensPerSecond.toFixed(1)} tokens/s, ${ENDS[answer.stopped]})`,
    );
  }

  /** An answer that failed leaves no half line. */
  close(): void {
    if (this.open && !this.output.json) this.output.write('\n');
    this.open = false;
  }
}

const ENDS = {
  eos: 'ended by the student',
  length: 'cut off by the limit',
  stop: 'ended by a stop text',
  cancelled: 'stopped',
} as const satisfies Record<TalkAnswer['stopped'], string>;

function withoutType<T extends { type: string }>({ type: _type, ...rest }: T): Omit<T, 'type'> {
  return rest;
}

/** `  93.1 %  " word"      " world" 4.0 %  " work" 1.2 %` */
function tokenLine({ text, logprob = 0, alternatives = [], id }: TalkToken): string {
  const percent = (value: number): string => `${(100 * Math.exp(value)).toFixed(1)} %`;
  const others = alternatives
    .filter((one) => one.id !== id)
    .map((one) => `${JSON.stringify(one.text)} ${percent(one.logprob)}`);
  return `${percent(logprob).padStart(8)}  ${JSON.stringify(text).padEnd(16)} ${others.join('  ')}`.trimEnd();
}

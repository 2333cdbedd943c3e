// conversation.ts: a conversation in a student's own chat template, made safe: which parts of the text are words of people
// (never control tokens), where a system message goes that the template has no place for, and which token ends a turn.
import { PupilError } from '../base/errors';
import { renderChat, type ChatMessage } from './chatTemplate';
import { anyOf, type TextRange, type TextTokenizer } from './tokenizer';

/** A text that is to be encoded, and its parts that come from outside: no control token is read in them. */
export interface PromptText {
  text: string;
  literal: readonly TextRange[];
}

/** What a rendered conversation needs of a tokenizer. */
export type ControlTokens = Pick<TextTokenizer, 'specialTexts' | 'controlTexts'>;

/** A text that comes from outside as a whole. */
export function literalText(text: string): PromptText {
  return { text, literal: [{ start: 0, end: text.length }] };
}

/** First of the private-use characters that stand for control tokens while a template is rendered. */
const STAND_INS = 0xf0000;
const STAND_IN = /[\u{f0000}-\u{ffffd}]/gu;

/**
 * The conversation as text. Contents are literal: "<|im_end|>" typed by a person stays these ten characters. (transformers
 * renders and encodes in one go, and there it does end the turn.)
 *
 * A system message that the template refuses (Gemma's, Mistral's first) or leaves out is put before the first user message,
 * with an empty line between.
 *
 * @throws PupilError `text` where the template cannot be read or refuses the messages all the same.
 */
export function renderConversation(
  template: string,
  messages: readonly ChatMessage[],
  tokens: ControlTokens,
  options: { addGenerationPrompt?: boolean } = {},
): PromptText {
  const pattern = anyOf(tokens.controlTexts);
  const standIn = (content: string): string =>
    pattern === undefined
      ? content
      : content.replace(pattern, (text) => String.fromCodePoint(STAND_INS + tokens.controlTexts.indexOf(text)));
  const safe = messages.map(({ role, content }) => ({ role, content: standIn(content) }));
  const rendered = renderWithSystem(template, safe, tokens.specialTexts, options);

  const literal: TextRange[] = [];
  let text = '';
  let from = 0;
  for (const found of rendered.matchAll(STAND_IN)) {
    const control = tokens.controlTexts[found[0].codePointAt(0)! - STAND_INS];
    if (control === undefined) continue; // a private-use character of the text's own
    text += rendered.slice(from, found.index);
    literal.push({ start: text.length, end: text.length + control.length });
    text += control;
    from = found.index + found[0].length;
  }
  return { text: text + rendered.slice(from), literal };
}

function renderWithSystem(
  template: string,
  messages: readonly ChatMessage[],
  specialTexts: Readonly<Record<string, string>>,
  options: { addGenerationPrompt?: boolean },
): string {
  const [system, user, ...rest] = messages;
  if (system?.role !== 'system') return renderChat(template, messages, specialTexts, options);
  let refusal: unknown;
  try {
    const text = renderChat(template, messages, specialTexts, options);
    if (text.includes(system.content.trim())) return text;
  } catch (error) {
    refusal = error;
  }
  if (user?.role !== 'user') {
    throw (
      refusal ??
      new PupilError(
        'text',
        'renderConversation: the chat template leaves the system message out, and no user message follows that could carry it',
        'Put the instruction into the user message.',
      )
    );
  }
  const merged: ChatMessage = { role: 'user', content: `${system.content}\n\n${user.content}` };
  return renderChat(template, [merged, ...rest], specialTexts, options);
}

/** Stands for an answer while a template is asked what follows one; no template trims or splits it. */
const ANSWER = 'PupilAsksWhatFollows';

/**
 * The id that ends the assistant's turn in this template: the control token right behind an answer, white space between them
 * aside ("<|im_end|>", "<|eot_id|>", "</s>"). Where only a further user turn shows it, it must be one of `eosIds`.
 * Undefined where the template ends an answer with ordinary text or not at all: then eos does.
 */
export function endOfTurnId(template: string, tokenizer: TextTokenizer): number | undefined {
  const messages: ChatMessage[] = [
    { role: 'user', content: 'Question' },
    { role: 'assistant', content: ANSWER },
  ];
  const following = (conversation: readonly ChatMessage[]): number | undefined => {
    let text: string;
    try {
      text = renderChat(template, conversation, tokenizer.specialTexts);
    } catch {
      return undefined; // a template for prompts only
    }
    const at = text.lastIndexOf(ANSWER);
    if (at < 0) return undefined;
    const behind = text.slice(at + ANSWER.length).trimStart();
    const [control] = tokenizer.controlTexts
      .filter((token) => behind.startsWith(token))
      .sort((a, b) => b.length - a.length);
    return control === undefined ? undefined : tokenizer.encode(control).at(-1);
  };
  const last = following(messages);
  if (last !== undefined) return last;
  const between = following([...messages, { role: 'user', content: 'Thanks' }]);
  return between !== undefined && tokenizer.eosIds.includes(between) ? between : undefined;
}

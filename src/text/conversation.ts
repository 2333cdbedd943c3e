// conversation.ts: a conversation as the prompt of a student, by its own chat template: what fits into its context, and which
// token ends a turn. Rendering is chatTemplate.ts; it generates nothing.
import { PupilError } from '../base/errors';
import { renderChat, type ChatMessage } from './chatTemplate';
import type { TextTokenizer } from './tokenizer';
import { encodePrompt } from './wrapper';

export interface ConversationPrompt {
  text: string;
  ids: number[];
  /** Messages that were left out, the oldest after the system prompt. */
  dropped: number;
}

/** A student's tokenizer with the template of its conversations. */
export interface ChatStudent {
  tokenizer: TextTokenizer;
  chatTemplate: string;
}

/**
 * The prompt for the next answer. Where it is longer than `room` tokens, the oldest messages after the system prompt are left
 * out, so many that the rest begins with the user's turn and fits. The last message always stays.
 * @throws PupilError `usage` where system prompt and last message alone do not fit, or there is no user's message at the end;
 *   `text` where the template refuses the messages.
 */
export function conversationPrompt(
  { tokenizer, chatTemplate }: ChatStudent,
  messages: readonly ChatMessage[],
  room: number,
): ConversationPrompt {
  const system = messages.filter((message, i) => i === 0 && message.role === 'system');
  const turns = messages.slice(system.length);
  if (turns.at(-1)?.role !== 'user') {
    throw new PupilError(
      'usage',
      `talk: expected a conversation that ends with the user's message, got ${turns.length === 0 ? 'none' : `one that ends with the ${turns.at(-1)!.role}'s`}`,
    );
  }
  const starts = turns.flatMap(({ role }, i) => (i === 0 || role === 'user' ? [i] : []));
  let tokens = 0;
  for (const dropped of starts) {
    const kept = [...system, ...turns.slice(dropped)];
    const text = renderChat(chatTemplate, kept, tokenizer.specialTexts, { addGenerationPrompt: true });
    const ids = encodePrompt(tokenizer, text);
    if (ids.length <= room) return { text, ids, dropped };
    tokens = ids.length;
  }
  throw new PupilError(
    'usage',
    `talk: expected a last message that fits into ${room} tokens with the system prompt, got ${tokens}`,
    'Write less, or lower the limit of new tokens: prompt and answer share the context.',
  );
}

const MARK = 'PUPIL-ANSWER';

/**
 * The token that a template writes behind an assistant's answer: <|im_end|>, <|eot_id|>, </s>. Models are not always published
 * with it among their end tokens, and go on with the user's next turn without it. Undefined where the template writes none.
 */
export function endOfTurnId({ tokenizer, chatTemplate }: ChatStudent): number | undefined {
  let text: string;
  try {
    const turns: ChatMessage[] = [
      { role: 'user', content: 'Hello' },
      { role: 'assistant', content: MARK },
    ];
    text = renderChat(chatTemplate, turns, tokenizer.specialTexts);
  } catch {
    return undefined; // it renders prompts only
  }
  const at = text.indexOf(MARK);
  if (at < 0) return undefined;
  const behind = text.slice(at + MARK.length).trimStart();
  const id = behind === '' ? undefined : tokenizer.encode(behind)[0];
  const isControl =
    id !== undefined && tokenizer.decode([id]) === '' && tokenizer.decode([id], { skipSpecial: false }).trim() !== '';
  return isControl ? id : undefined;
}

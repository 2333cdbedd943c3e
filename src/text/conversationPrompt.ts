// conversationPrompt.ts: a conversation as the prompt for a student's next answer: as many of its messages as the context has
// room for. How they are rendered is conversation.ts; it generates nothing.
import { PupilError } from '../base/errors';
import type { ChatMessage } from './chatTemplate';
import { renderConversation } from './conversation';
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
    const prompt = renderConversation(chatTemplate, kept, tokenizer, { addGenerationPrompt: true });
    const ids = encodePrompt(tokenizer, prompt);
    if (ids.length <= room) return { text: prompt.text, ids, dropped };
    tokens = ids.length;
  }
  throw new PupilError(
    'usage',
    `talk: expected a last message that fits into ${room} tokens with the system prompt, got ${tokens}`,
    'Write less, or lower the limit of new tokens: prompt and answer share the context.',
  );
}

// diskMessages.ts: demonstrations that are chats: OpenAI's {role, content} and ShareGPT's {from, value}. The last answer of
// a chat is the demonstration, what was asked right before it is the question.
import { expectText, RowProblem, type FoundDemonstration, type Row } from './diskRow';

interface Turn {
  role: 'system' | 'user' | 'assistant';
  text: string;
}

const ROLES: Readonly<Record<string, Turn['role']>> = {
  system: 'system',
  developer: 'system',
  user: 'user',
  human: 'user',
  assistant: 'assistant',
  model: 'assistant',
  gpt: 'assistant',
  chatgpt: 'assistant',
  bot: 'assistant',
};

/** A message's text: a string, or the text parts of a list of parts. */
function contentText(content: unknown, name: string): string {
  if (!Array.isArray(content)) return expectText(content, name);
  return content
    .map((part: unknown, i) => {
      const { type, text } = (part ?? {}) as { type?: unknown; text?: unknown };
      if (type === 'text') return expectText(text, `${name}[${i}].text`);
      throw new RowProblem(`expected parts of type "text" only in ${name}, got ${JSON.stringify(type) ?? 'nothing'}`);
    })
    .join('');
}

/** The turns of a chat, by whatever names its keys have. */
export function turnsOf(value: unknown, name: string): Turn[] {
  if (!Array.isArray(value)) throw new RowProblem(`expected a list of messages in ${name}`);
  return value.map((message: unknown, i) => {
    const at = `${name}[${i}]`;
    if (typeof message !== 'object' || message === null) throw new RowProblem(`expected a message in ${at}`);
    const { role, from, content, value: said } = message as Row;
    const who = expectText(role ?? from, `${at}.role or ${at}.from`);
    const known = ROLES[who.toLowerCase()];
    if (known === undefined) {
      throw new RowProblem(`expected one of ${Object.keys(ROLES).join(', ')} as who speaks in ${at}, got "${who}"`);
    }
    return { role: known, text: contentText(content ?? said, `${at}.content or ${at}.value`) };
  });
}

/** What was asked last, and what was answered to it. */
export function exchange(turns: readonly Turn[], name: string): Pick<FoundDemonstration, 'questions' | 'answer'> {
  const answered = turns.findLastIndex(({ role }) => role === 'assistant');
  const asked = turns.slice(0, Math.max(0, answered)).findLast(({ role }) => role === 'user');
  if (asked === undefined) throw new RowProblem(`expected a question and an answer to it in ${name}`);
  return { questions: [asked.text], answer: turns[answered]!.text };
}

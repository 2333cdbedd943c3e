// conversationPrompt.test.ts: what is left out of a conversation that is too long, counted against the template's own text.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { renderChat, type ChatMessage } from '../../../src/text/chatTemplate';
import { conversationPrompt } from '../../../src/text/conversationPrompt';
import { HuggingFaceTokenizer } from '../../../src/text/tokenizer';

const LESSON = join(import.meta.dirname, '../../../public/students/lesson');
const json = (path: string): unknown => JSON.parse(readFileSync(path, 'utf8'));
const tokenizerOf = (tokenizer: string, config: string): HuggingFaceTokenizer =>
  new HuggingFaceTokenizer({ tokenizer: json(tokenizer), tokenizerConfig: json(config) });

const lesson = tokenizerOf(join(LESSON, 'tokenizer.json'), join(LESSON, 'tokenizer_config.json'));
const TURNS =
  "{% for m in messages %}{% if m.role == 'assistant' %}{{ m.content }}{{ eos_token }}{% else %}{{ m.content }}\n{% endif %}{% endfor %}";
const user = (content: string): ChatMessage => ({ role: 'user', content });
const assistant = (content: string): ChatMessage => ({ role: 'assistant', content });

describe('conversationPrompt', () => {
  const student = { tokenizer: lesson, chatTemplate: TURNS };
  const talk = Array.from({ length: 6 }, (_, i) => [
    user(`Tom has ${i} pears.`),
    assistant(`Tom has ${i} pears.`),
  ]).flat();
  const last = user('How many pears does Tom have?');
  const system: ChatMessage = { role: 'system', content: 'The pears are green.' };
  const tokens = (messages: ChatMessage[]): number =>
    lesson.encode(renderChat(TURNS, messages, lesson.specialTexts), { addBos: true }).length;

  it('leaves out as few of the oldest turns as it must, pairs of them, never the system prompt or the last message', () => {
    for (const first of [[], [system]]) {
      const all = [...first, ...talk, last];
      for (let room = tokens([...first, last]); room <= tokens(all) + 2; room++) {
        const { text, ids, dropped } = conversationPrompt(student, all, room);
        expect(dropped % 2).toBe(0);
        const kept = [...first, ...talk.slice(dropped), last];
        expect(text).toBe(renderChat(TURNS, kept, lesson.specialTexts, { addGenerationPrompt: true }));
        expect(ids.length).toBeLessThanOrEqual(room);
        if (dropped > 0) expect(tokens([...first, ...talk.slice(dropped - 2), last])).toBeGreaterThan(room);
      }
      expect(() => conversationPrompt(student, all, tokens([...first, last]) - 1)).toThrow(/fits into/);
    }
  });

  it('wants the user’s message at the end', () => {
    expect(() => conversationPrompt(student, [], 99)).toThrow(/got none/);
    expect(() => conversationPrompt(student, [system], 99)).toThrow(/got none/);
    expect(() => conversationPrompt(student, [last, assistant('Tom')], 99)).toThrow(/ends with the assistant/);
  });
});

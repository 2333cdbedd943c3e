// chatTemplate.ts: a student's own chat template (Jinja), rendered. It knows no model's template by heart.
import { Template } from '@huggingface/jinja';
import { PupilError } from '../base/errors';

export interface ChatMessage {
  role: 'system' | 'user' | 'assistant';
  content: string;
}

const compiled = new Map<string, Template>();

/** Parts of the day that templates are told, for strftime's letters. */
const DAY: Readonly<Record<string, string>> = {
  d: '26',
  e: '26',
  m: '07',
  b: 'Jul',
  B: 'July',
  y: '24',
  Y: '2024',
  a: 'Fri',
  A: 'Friday',
  j: '208',
  H: '00',
  I: '12',
  M: '00',
  S: '00',
  p: 'AM',
};

/** The library declares strftime_now itself and lets nobody else; a template may set it. */
const PINNED_DATE = '{% set strftime_now = fixed_date %}';

/**
 * A template that asks for today's date (Llama-3.2's) is told 26 July 2024, the day that this template itself names where
 * there is no clock: the same experiment gives the same prompts tomorrow.
 */
function fixedDate(format: string): string {
  return format.replace(/%([%a-zA-Z])/g, (whole, letter: string) => (letter === '%' ? '%' : (DAY[letter] ?? whole)));
}

/**
 * The text of a conversation, special tokens written out.
 *
 * @param specialTexts bos_token, eos_token … as the template may use them.
 * @throws PupilError `text` where the template cannot be read or refuses the messages.
 */
export function renderChat(
  template: string,
  messages: readonly ChatMessage[],
  specialTexts: Readonly<Record<string, string>>,
  options: { addGenerationPrompt?: boolean } = {},
): string {
  try {
    let program = compiled.get(template);
    if (program === undefined) {
      program = new Template(PINNED_DATE + template);
      compiled.set(template, program);
    }
    return program.render({
      ...specialTexts,
      fixed_date: fixedDate,
      messages: messages.map((message) => ({ ...message })),
      add_generation_prompt: options.addGenerationPrompt ?? false,
    });
  } catch (cause) {
    throw new PupilError(
      'text',
      `renderChat: the chat template was expected to render ${messages.length} message(s), got: ${(cause as Error).message}`,
      'Choose the wrapper "alpaca" or "none", or mend chat_template in tokenizer_config.json.',
      { cause },
    );
  }
}

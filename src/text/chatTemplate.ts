// chatTemplate.ts: a student's own chat template (Jinja), rendered. It knows no model's template by heart.
import { Template } from '@huggingface/jinja';
import { PupilError } from '../base/errors';

export interface ChatMessage {
  role: 'system' | 'user' | 'assistant';
  content: string;
}

const compiled = new Map<string, Template>();

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
      program = new Template(template);
      compiled.set(template, program);
    }
    return program.render({
      ...specialTexts,
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

// wrapper.ts: a demonstration's instruction and input as the student sees them, and its answer: one rule for training,
// sampling and evaluation. Baselines use the bare prompt. It knows no task: the prompt's words come from outside.
import { PupilError } from '../base/errors';
import { literalText, renderConversation, type ControlTokens, type PromptText } from './conversation';
import type { TextTokenizer } from './tokenizer';

/** Instruction = first line of a prompt of Tables 2 and 3, input = the rest. */
export interface PromptParts {
  instruction: string;
  input: string;
}

/** How prompts are wrapped. `chatTemplate` is needed for "chat" only. */
export interface WrapperOptions {
  wrapper: 'none' | 'alpaca' | 'chat';
  /** Ends the wrapped prompt, whatever the wrapper. */
  promptSuffix: string;
  chatTemplate?: string;
}

/** Splits a bare prompt at its first line break. A prompt of one line has an empty input. */
export function splitPrompt(bare: string): PromptParts {
  const at = bare.indexOf('\n');
  return at < 0 ? { instruction: bare, input: '' } : { instruction: bare.slice(0, at), input: bare.slice(at + 1) };
}

/** The inverse of {@link splitPrompt}: Tables 2 and 3 as they stand. */
export function barePrompt(parts: PromptParts): string {
  return parts.input === '' ? parts.instruction : `${parts.instruction}\n${parts.input}`;
}

/** Alpaca's template (Taori et al. 2023); the second form is theirs for an empty input. */
export function alpacaPrompt({ instruction, input }: PromptParts): string {
  if (input === '') {
    return (
      'Below is an instruction that describes a task. ' +
      'Write a response that appropriately completes the request.\n\n' +
      `### Instruction:\n${instruction}\n\n### Response:`
    );
  }
  return (
    'Below is an instruction that describes a task, paired with an input that provides further context. ' +
    'Write a response that appropriately completes the request.\n\n' +
    `### Instruction:\n${instruction}\n\n### Input:\n${input}\n\n### Response:`
  );
}

/**
 * The prompt as text. Its words are literal (conversation.ts): control tokens come from the chat template and the suffix only.
 *
 * @param tokens the special tokens as a chat template writes them; the others need none.
 * @throws PupilError `config` where the wrapper is "chat" and the student has no chat template.
 */
export function wrapPrompt(
  parts: PromptParts,
  options: WrapperOptions,
  tokens: ControlTokens = { specialTexts: {}, controlTexts: [] },
): PromptText {
  const prompt = wrappedWords(parts, options, tokens);
  return { text: prompt.text + options.promptSuffix, literal: prompt.literal };
}

function wrappedWords(parts: PromptParts, options: WrapperOptions, tokens: ControlTokens): PromptText {
  switch (options.wrapper) {
    case 'none':
      return literalText(barePrompt(parts));
    case 'alpaca':
      return literalText(alpacaPrompt(parts));
    case 'chat': {
      if (options.chatTemplate === undefined) {
        throw new PupilError(
          'config',
          'wrapPrompt: the wrapper "chat" needs a chat template, this student has none',
          'Choose the wrapper "alpaca" (the default for base models) or "none".',
        );
      }
      const messages = [{ role: 'user' as const, content: barePrompt(parts) }];
      return renderConversation(options.chatTemplate, messages, tokens, { addGenerationPrompt: true });
    }
  }
}

/** Ids of a wrapped prompt. A beginning-of-text that a chat template already wrote is not doubled. */
export function encodePrompt(tokenizer: TextTokenizer, prompt: PromptText): number[] {
  const { text, literal } = prompt;
  const bosText = tokenizer.specialTexts['bos_token'];
  const hasBos = bosText !== undefined && bosText !== '' && text.startsWith(bosText) && literal[0]?.start !== 0;
  return tokenizer.encode(text, { addBos: !hasBos, literal });
}

/**
 * Ids of an answer that a student is trained to give: the text, then the end of text. Prompt and answer are encoded
 * apart, because that is how the student meets them when it generates.
 *
 * @param endId what ends it: null for a sample that was cut off by the token limit.
 */
export function encodeAnswer(tokenizer: TextTokenizer, answer: string, endId: number | null): number[] {
  const ids = tokenizer.encode(answer, { literal: literalText(answer).literal });
  return endId === null ? ids : [...ids, endId];
}

/** The text of generated ids as scorers and later phases see it: no control tokens, no surrounding white space. */
export function decodeAnswer(tokenizer: TextTokenizer, ids: readonly number[]): string {
  return tokenizer.decode(ids).trim();
}

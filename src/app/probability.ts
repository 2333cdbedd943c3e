// probability.ts: how a token's probability is put into words and classes: for colours, for underlines, and for whoever sees
// neither. It draws nothing.
import type { TalkToken } from '../session/protocol';

/** From sure to surprising; each has a tint and an underline of its own (TalkTokens.svelte). */
export const LEVELS = [
  { name: 'sure', from: 0.9, words: '90 % and more' },
  { name: 'likely', from: 0.5, words: '50 to 90 %' },
  { name: 'unsure', from: 0.1, words: '10 to 50 %' },
  { name: 'unlikely', from: 0, words: 'below 10 %' },
] as const;
export type Level = (typeof LEVELS)[number]['name'];

/** Of the tokens together; undefined where they carry none. */
export function jointProbability(tokens: readonly TalkToken[]): number | undefined {
  if (tokens.some(({ logprob }) => logprob === undefined)) return undefined;
  return Math.exp(tokens.reduce((sum, { logprob }) => sum + logprob!, 0));
}

export const levelOf = (probability: number): Level => LEVELS.find(({ from }) => probability >= from)!.name;

/** `93 %`, `0.4 %`, `< 0.1 %` */
export function percent(probability: number): string {
  const value = 100 * probability;
  if (value < 0.1) return '< 0.1 %';
  return `${value < 10 ? value.toFixed(1) : value.toFixed(0)} %`;
}

/** White space that would not be seen, as signs. */
export const visible = (text: string): string =>
  text === '' ? '(nothing)' : text.replaceAll('\n', '↵').replaceAll('\t', '⇥').replaceAll(' ', '␣');

// heat.ts: a token's log-probabilities as a tint, an underline and words: for eyes, for eyes that tell no colours apart, and
// for ears. It draws nothing.
import type { ScoredToken } from '../../session/protocol';
import { levelOf, percent, visible } from '../probability';
import type { Heat } from './pairs.svelte';

/** From here on in nats the tint is as strong as it gets. */
const FULL_NATS = 2;
/** Below this the two students agree as far as a reader is concerned. */
const SAME_NATS = 0.05;

export interface TokenLook {
  /** A class of page.css or of HeatTokens.svelte. */
  name: string;
  /** Strength of the tint in [0, 1]; only of differences. */
  strength: number;
  /** The value in words. */
  words: string;
}

const signed = (value: number): string => `${value < 0 ? '−' : '+'}${Math.abs(value).toFixed(2)}`;
export const nats = (value: number): string => `${value < 0 ? '−' : ''}${Math.abs(value).toFixed(2)}`;

/** log π − log π_ref; undefined without a policy. */
export const ratioOf = ({ policy, reference }: Pick<ScoredToken, 'policy' | 'reference'>): number | undefined =>
  policy === undefined ? undefined : policy - reference;

export function lookOf(token: ScoredToken, heat: Heat): TokenLook {
  const ratio = ratioOf(token);
  if (heat === 'ratio' && ratio !== undefined) {
    const strength = Math.min(1, Math.abs(ratio) / FULL_NATS);
    const name = Math.abs(ratio) < SAME_NATS ? 'same' : ratio > 0 ? 'up' : 'down';
    const words = { same: 'as likely as before', up: 'likelier than before', down: 'less likely than before' }[name];
    return { name, strength, words: `${signed(ratio)} nats, ${words!}` };
  }
  const logp = heat === 'policy' && token.policy !== undefined ? token.policy : token.reference;
  const level = levelOf(Math.exp(logp));
  return {
    name: `probability-${level}`,
    strength: 0,
    words: `${nats(logp)} nats, ${percent(Math.exp(logp))}, ${level}`,
  };
}

/** All that is known of a token, in a line. */
export function describeToken(token: ScoredToken, isEnd: boolean): string {
  const what = isEnd ? 'end of the answer' : `“${visible(token.text)}”`;
  const ratio = ratioOf(token);
  const own = (logp: number): string => `${nats(logp)} (${percent(Math.exp(logp))})`;
  return ratio === undefined
    ? `${what}: log π_ref ${own(token.reference)}`
    : `${what}: log π ${own(token.policy!)}, log π_ref ${own(token.reference)}, difference ${signed(ratio)}`;
}

// apiBudget.ts: what asking costs: tokens always, money where prices are given; and a bound that is never crossed, because a
// request is only sent when its worst case still fits beside all others under way. It counts; it sends nothing.
import type { ApiFailure, Usage } from './apiAnswer';
import type { ChatRequest } from './apiRequest';

/** In any currency, per million tokens. */
export interface Prices {
  inputPerMillion: number;
  outputPerMillion: number;
}

/** Upper bounds; what is absent is not bounded. */
export interface BudgetLimits {
  tokens?: number;
  cost?: number;
}

export const NO_USAGE: Usage = { prompt: 0, completion: 0 };

export const addUsage = (a: Usage, b: Usage): Usage => ({
  prompt: a.prompt + b.prompt,
  completion: a.completion + b.completion,
});

export const costOf = (usage: Usage, prices: Prices): number =>
  (usage.prompt * prices.inputPerMillion + usage.completion * prices.outputPerMillion) / 1e6;

/** Tokens that a server's chat template may add around the messages. */
const TEMPLATE_TOKENS = 100;

const byteLength = (text: string): number => new TextEncoder().encode(text).byteLength;

/**
 * The most that a request can cost: a byte-level tokenizer makes no more tokens of a text than it has bytes, and the answer
 * ends at its limit.
 */
export function worstUsage({ system = '', prompt, maxTokens }: ChatRequest): Usage {
  return { prompt: byteLength(system) + byteLength(prompt) + TEMPLATE_TOKENS, completion: maxTokens };
}

/** About four characters of English a token, as a rule of thumb. */
export function likelyPromptTokens({ system = '', prompt }: ChatRequest): number {
  return Math.ceil((system.length + prompt.length) / 4) + 10;
}

/** Of an answer whose server does not count: not less than it can have been. */
export function boundedUsage(worst: Usage, text: string): Usage {
  return { prompt: worst.prompt, completion: Math.min(worst.completion, byteLength(text)) };
}

/** An account with reservations. */
export class Budget {
  private spentUsage: Usage;
  private lostUsage = NO_USAGE;
  private reserved = NO_USAGE;

  constructor(
    private readonly limits: BudgetLimits = {},
    private readonly prices?: Prices,
    /** What the same work has cost before. */
    already: Usage = NO_USAGE,
  ) {
    this.spentUsage = already;
  }

  /** All that was charged, or may have been: {@link lost} is part of it. */
  get spent(): Usage {
    return this.spentUsage;
  }

  /** Worst cases of requests of which nobody knows what they cost: broken off, timed out, given up. */
  get lost(): Usage {
    return this.lostUsage;
  }

  /** Whether a request of this worst case may be sent now. */
  fits(worst: Usage): boolean {
    const all = addUsage(addUsage(this.spentUsage, this.reserved), worst);
    const { tokens = Infinity, cost = Infinity } = this.limits;
    if (all.prompt + all.completion > tokens) return false;
    return this.prices === undefined || costOf(all, this.prices) <= cost;
  }

  reserve(worst: Usage): void {
    this.reserved = addUsage(this.reserved, worst);
  }

  /** Puts what a request cost in place of its reservation, and returns it. */
  settle(worst: Usage, spent: ApiFailure['spent']): Usage {
    this.reserved = {
      prompt: this.reserved.prompt - worst.prompt,
      completion: this.reserved.completion - worst.completion,
    };
    const usage = spent === 'nothing' ? NO_USAGE : spent === 'unknown' ? worst : spent;
    this.spentUsage = addUsage(this.spentUsage, usage);
    if (spent === 'unknown') this.lostUsage = addUsage(this.lostUsage, usage);
    return usage;
  }
}

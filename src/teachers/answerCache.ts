// answerCache.ts: what a cache of answers must do, and what an entry says: the outcome of a request, by its hash, and what
// was paid for it. Where entries are kept is storage's; it is handed in.
import * as v from 'valibot';
import type { FailureReason, Usage } from './apiAnswer';

/** Texts by key; storage/answerStore.ts has several. Promises: what `saveAnswer` resolved for is found after a crash. */
export interface AnswerCache {
  loadAnswers(keys: readonly string[]): Promise<Map<string, string>>;
  /** Replaces what was there. */
  saveAnswer(key: string, text: string): Promise<void>;
}

/** Failures that would come again, and so are not asked about again unless a person says so. */
export const LASTING_FAILURES = [
  'cut-off',
  'content-filter',
  'refusal',
  'rejected',
  'too-large',
] as const satisfies readonly FailureReason[];
export type LastingFailure = (typeof LASTING_FAILURES)[number];

const UsageSchema = v.strictObject({
  prompt: v.pipe(v.number(), v.integer(), v.minValue(0)),
  completion: v.pipe(v.number(), v.integer(), v.minValue(0)),
});

const EntrySchema = v.strictObject({
  /** What attempts cost that brought nothing, or may have cost. */
  wasted: UsageSchema,
  outcome: v.exactOptional(
    v.variant('kind', [
      v.strictObject({
        kind: v.literal('answer'),
        text: v.pipe(v.string(), v.nonEmpty()),
        usage: UsageSchema,
        /** Whether the server counted. */
        counted: v.boolean(),
        model: v.exactOptional(v.string()),
        /** Tells the response from every other: the same one for another question is refused, later too. */
        identity: v.exactOptional(v.string()),
        durationMs: v.pipe(v.number(), v.minValue(0)),
      }),
      v.strictObject({
        kind: v.literal('failure'),
        reason: v.picklist(LASTING_FAILURES),
        message: v.string(),
        usage: UsageSchema,
        text: v.exactOptional(v.string()),
      }),
    ]),
  ),
});

/** One request: what it cost in vain, and what came of it, once something has. */
export type CacheEntry = v.InferOutput<typeof EntrySchema>;
export type KeptAnswer = Extract<NonNullable<CacheEntry['outcome']>, { kind: 'answer' }>;
export type KeptFailure = Extract<NonNullable<CacheEntry['outcome']>, { kind: 'failure' }>;

export const EMPTY_ENTRY: CacheEntry = { wasted: { prompt: 0, completion: 0 } };

export const writeEntry = (entry: CacheEntry): string => JSON.stringify(entry);

/** Undefined for what is no entry (damaged, or of another version): the request is asked again then. */
export function readEntry(text: string): CacheEntry | undefined {
  try {
    const parsed = v.safeParse(EntrySchema, JSON.parse(text));
    return parsed.success ? parsed.output : undefined;
  } catch {
    return undefined;
  }
}

/** All that an entry has cost. */
export function entryUsage({ wasted, outcome }: CacheEntry): Usage {
  if (outcome === undefined) return wasted;
  return {
    prompt: wasted.prompt + outcome.usage.prompt,
    completion: wasted.completion + outcome.usage.completion,
  };
}

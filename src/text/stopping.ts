// stopping.ts: where a generated answer ends. Token-level rules only; the sampler applies the same rule on the GPU.

/** Why generation ended: the student said so, or the limit of new tokens was reached. */
export type StopReason = 'eos' | 'length';

/** New tokens up to, not including, the end of text. */
export interface StoppedIds {
  ids: number[];
  stopped: StopReason;
}

/**
 * Cuts generated ids at the first end-of-text id, which is left out. Without one the answer was cut off by the limit
 * (`length`): such an answer gets no end of text when it is trained on.
 */
export function cutAtEnd(newIds: readonly number[], eosIds: readonly number[]): StoppedIds {
  const end = newIds.findIndex((id) => eosIds.includes(id));
  return end < 0 ? { ids: [...newIds], stopped: 'length' } : { ids: newIds.slice(0, end), stopped: 'eos' };
}

/** The text before the first of the given texts; the whole text where none occurs. Ends without white space. */
export function cutAtTexts(text: string, stops: readonly string[]): string {
  let end = text.length;
  for (const stop of stops) {
    const at = text.indexOf(stop);
    if (at >= 0 && at < end) end = at;
  }
  return text.slice(0, end).trimEnd();
}

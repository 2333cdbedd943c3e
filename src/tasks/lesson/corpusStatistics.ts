// corpusStatistics.ts: what a part of the corpus consists of: tokens of each kind, lengths of documents, and how much of
// the vocabulary has been seen. For the model card and for tests.
import { CONTROL_TOKENS, DOCUMENT_KINDS, type DocumentKind, type LessonDocument } from './corpus';
import { LESSON_TOKENS, SPECIAL_TOKENS } from './vocabulary';
import { wordPieces } from './words';

export interface CorpusStatistics {
  documents: number;
  tokens: number;
  /** Tokens of each kind, control tokens included, and their share. */
  kinds: Record<DocumentKind, { documents: number; tokens: number; share: number }>;
  /** Documents by length: entry i counts those of i·bin … (i+1)·bin − 1 tokens. */
  lengths: { bin: number; counts: number[]; longest: number };
  /** Words of the vocabulary that occurred; the control tokens are no words. */
  vocabulary: { words: number; seen: number; share: number; rarest: [word: string, count: number][] };
  /** Words that the vocabulary lacks. There should be none. */
  unknown: string[];
}

/** Counts over documents, in one pass. */
export function corpusStatistics(documents: Iterable<LessonDocument>, bin = 8): CorpusStatistics {
  const special = new Set<string>(Object.values(SPECIAL_TOKENS));
  const counts = new Map(LESSON_TOKENS.filter((token) => !special.has(token)).map((token) => [token, 0]));
  const kinds = Object.fromEntries(
    DOCUMENT_KINDS.map((kind) => [kind, { documents: 0, tokens: 0, share: 0 }]),
  ) as CorpusStatistics['kinds'];
  const lengths = { bin, counts: [] as number[], longest: 0 };
  const unknown = new Set<string>();
  let tokens = 0;
  let total = 0;
  for (const { kind, text } of documents) {
    const pieces = wordPieces(text);
    for (const piece of pieces) {
      const count = counts.get(piece);
      if (count === undefined) unknown.add(piece);
      else counts.set(piece, count + 1);
    }
    const length = pieces.length + CONTROL_TOKENS;
    const place = Math.floor(length / bin);
    while (lengths.counts.length <= place) lengths.counts.push(0);
    lengths.counts[place]!++;
    lengths.longest = Math.max(lengths.longest, length);
    kinds[kind].documents++;
    kinds[kind].tokens += length;
    tokens += length;
    total++;
  }
  for (const kind of DOCUMENT_KINDS) kinds[kind].share = tokens === 0 ? 0 : kinds[kind].tokens / tokens;
  const byCount = [...counts].sort(([, a], [, b]) => a - b);
  const seen = byCount.filter(([, count]) => count > 0).length;
  return {
    documents: total,
    tokens,
    kinds,
    lengths,
    vocabulary: { words: counts.size, seen, share: seen / counts.size, rarest: byCount.slice(0, 10) },
    unknown: [...unknown],
  };
}

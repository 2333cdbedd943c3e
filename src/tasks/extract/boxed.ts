// boxed.ts: what stands in the last \boxed{…} (or \fbox{…}) of a text, with braces balanced. It reads LaTeX no further.

const BOX = /\\(?:boxed|fbox)(?![A-Za-z])\s*/g;

/**
 * The contents of the last box, as MATH's own evaluation takes it. `null` where the last box is not closed (a text cut
 * off inside it says nothing), undefined where there is no box at all. A box without braces (`\boxed 5$`) holds what
 * comes up to the next `$`, white space or line end. Escaped braces (`\{`) do not count.
 */
export function lastBoxed(text: string): string | null | undefined {
  const last = [...text.matchAll(BOX)].at(-1);
  if (last === undefined) return undefined;
  const start = last.index + last[0].length;
  if (text[start] !== '{') return /^[^\s${}]+/.exec(text.slice(start, start + 200))?.[0] ?? null;
  let depth = 0;
  for (let i = start; i < text.length; i++) {
    if (text[i] === '\\') i++;
    else if (text[i] === '{') depth++;
    else if (text[i] === '}' && --depth === 0) return text.slice(start + 1, i);
  }
  return null;
}

// shellWord.ts: a text as one word of a shell, for command lines that are written for people or into scripts.

/** Quoted where it must be. */
export function shellWord(text: string): string {
  return /^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`;
}

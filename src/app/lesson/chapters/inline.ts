// inline.ts: the few marks that a chapter's text may carry, read into nodes: **strong**, *emphasis*, `code`, $mathematics$ and
// [words](https://…). It never fails: a mark without its partner is text. It makes no HTML; Inline.svelte shows the nodes.

export type InlineNode =
  | { kind: 'text' | 'code' | 'maths'; text: string }
  | { kind: 'strong' | 'emphasis'; children: InlineNode[] }
  | { kind: 'link'; href: string; children: InlineNode[] };

/** A mark at its beginning; what stands between two of them is not empty. A backslash takes a sign literally. */
const MARKS: readonly { pattern: RegExp; node: (match: RegExpExecArray) => InlineNode | undefined }[] = [
  { pattern: /^\\([\\*`$[\]])/, node: ([, sign]) => ({ kind: 'text', text: sign! }) },
  { pattern: /^`([^`]+)`/, node: ([, text]) => ({ kind: 'code', text: text! }) },
  // As in other texts with dollars: "$5 and $6" is money, so neither end may be white space, and no digit follows.
  { pattern: /^\$(?!\s)([^$]+?)(?<!\s)\$(?!\d)/, node: ([, text]) => ({ kind: 'maths', text: text! }) },
  {
    pattern: /^\*\*(?![\s*])((?:[^*]|\*(?!\*))+?)(?<!\s)\*\*/,
    node: ([, text]) => ({ kind: 'strong', children: parseInline(text!) }),
  },
  {
    pattern: /^\*(?![\s*])([^*]+?)(?<!\s)\*/,
    node: ([, text]) => ({ kind: 'emphasis', children: parseInline(text!) }),
  },
  {
    pattern: /^\[([^[\]]+)\]\(([^()\s]+)\)/,
    node: ([, words, address]) => {
      const href = webAddress(address!);
      return href === undefined ? undefined : { kind: 'link', href, children: parseInline(words!) };
    },
  },
];

/** The address where it leads to the web and nowhere else: a document of a stranger must not run anything. */
export function webAddress(text: string): string | undefined {
  const url = URL.parse(text);
  return url !== null && (url.protocol === 'https:' || url.protocol === 'http:') ? url.href : undefined;
}

export function parseInline(source: string): InlineNode[] {
  const nodes: InlineNode[] = [];
  let plain = '';
  const flush = (): void => {
    if (plain !== '') nodes.push({ kind: 'text', text: plain });
    plain = '';
  };
  for (let at = 0; at < source.length;) {
    const found = /[\\*`$[]/.test(source[at]!) ? markAt(source.slice(at)) : undefined;
    if (found === undefined) {
      plain += source[at]!;
      at++;
      continue;
    }
    if (found.node.kind === 'text') plain += found.node.text;
    else {
      flush();
      nodes.push(found.node);
    }
    at += found.length;
  }
  flush();
  return nodes;
}

function markAt(rest: string): { node: InlineNode; length: number } | undefined {
  for (const { pattern, node } of MARKS) {
    const match = pattern.exec(rest);
    const made = match === null ? undefined : node(match);
    if (match !== null && made !== undefined) return { node: made, length: match[0].length };
  }
  return undefined;
}

/** The words alone, for a name or a title. */
export const plainText = (nodes: readonly InlineNode[]): string =>
  nodes.map((node) => ('children' in node ? plainText(node.children) : node.text)).join('');

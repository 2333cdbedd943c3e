// maths.ts: a formula as it is typed ("L = −log σ(β·d)", "W_{ij}", "\frac{a}{b}", "\sqrt{x}") read into a tree that Maths.svelte
// shows as MathML. A small language, written as one writes to a colleague: letters, Greek and signs by themselves, _ and ^ for what
// stands lower and higher, braces to group, two spaces for a gap. It never fails: what it does not know is shown as it is.

export type MathsNode =
  | { kind: 'identifier' | 'number' | 'operator' | 'function' | 'words'; text: string }
  | { kind: 'space' }
  | { kind: 'row'; children: MathsNode[] }
  | { kind: 'fraction'; over: MathsNode; under: MathsNode }
  | { kind: 'root'; child: MathsNode }
  | { kind: 'scripts'; base: MathsNode; sub?: MathsNode; sup?: MathsNode };

const TOKEN = /\s+|\\[A-Za-z]+|\d+(?:[.,]\d+)*|\p{L}[\p{L}\p{M}]*['′]*|[^]/uy;

/** Names that stand off from what they are applied to. */
const FUNCTIONS: ReadonlySet<string> = new Set(['log', 'ln', 'exp', 'sin', 'cos', 'max', 'min', 'argmax']);

class Reader {
  private readonly tokens: string[];
  private at = 0;
  constructor(source: string) {
    this.tokens = [];
    TOKEN.lastIndex = 0;
    for (let match = TOKEN.exec(source); match !== null; match = TOKEN.exec(source)) {
      if (match[0].trim() !== '' || match[0].length > 1) this.tokens.push(match[0]);
    }
  }

  /** Everything up to a closing brace, or to the end. */
  row(inBraces: boolean): MathsNode {
    const children: MathsNode[] = [];
    while (this.at < this.tokens.length) {
      if (inBraces && this.tokens[this.at] === '}') break;
      children.push(this.withScripts(this.atom()));
    }
    if (inBraces) this.at++; // the brace; past the end where it is missing
    return children.length === 1 ? children[0]! : { kind: 'row', children };
  }

  private withScripts(base: MathsNode): MathsNode {
    const scripts: { sub?: MathsNode; sup?: MathsNode } = {};
    for (;;) {
      const sign = this.tokens[this.at];
      const place = sign === '_' ? 'sub' : sign === '^' ? 'sup' : undefined;
      if (place === undefined || scripts[place] !== undefined || this.at + 1 >= this.tokens.length) break;
      this.at++;
      scripts[place] = this.atom();
    }
    return scripts.sub === undefined && scripts.sup === undefined ? base : { kind: 'scripts', base, ...scripts };
  }

  private atom(): MathsNode {
    const token = this.tokens[this.at++];
    if (token === undefined) return { kind: 'row', children: [] };
    if (token === '{') return this.row(true);
    if (token === '\\frac') return { kind: 'fraction', over: this.atom(), under: this.atom() };
    if (token === '\\sqrt') return { kind: 'root', child: this.atom() };
    if (token.trim() === '') return { kind: 'space' };
    if (FUNCTIONS.has(token)) return { kind: 'function', text: token };
    if (/^\d/.test(token)) return { kind: 'number', text: token };
    if (/^\p{L}/u.test(token)) return { kind: token.length === 1 ? 'identifier' : 'words', text: token };
    return { kind: 'operator', text: token };
  }
}

export const parseMaths = (source: string): MathsNode => new Reader(source).row(false);

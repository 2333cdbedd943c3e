// Claims about a chapter's text: marks and formulas are read as docs/chapters.md says, nothing typed makes them fail or is lost,
// and no address but one of the web becomes a link.
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseInline, plainText, webAddress } from '../../../../src/app/lesson/chapters/inline';
import { parseMaths, type MathsNode } from '../../../../src/app/lesson/chapters/maths';

describe('marks', () => {
  it('are strong, emphasis, code, mathematics and links, one in another', () => {
    expect(parseInline('a **b *c* d** `x*y` $W_1$ [e](https://f.org/g) h')).toEqual([
      { kind: 'text', text: 'a ' },
      {
        kind: 'strong',
        children: [
          { kind: 'text', text: 'b ' },
          { kind: 'emphasis', children: [{ kind: 'text', text: 'c' }] },
          { kind: 'text', text: ' d' },
        ],
      },
      { kind: 'text', text: ' ' },
      { kind: 'code', text: 'x*y' },
      { kind: 'text', text: ' ' },
      { kind: 'maths', text: 'W_1' },
      { kind: 'text', text: ' ' },
      { kind: 'link', href: 'https://f.org/g', children: [{ kind: 'text', text: 'e' }] },
      { kind: 'text', text: ' h' },
    ]);
  });

  it.each([
    '2 * 3 * 4',
    '**',
    '***',
    '*a',
    '`a',
    '$5 and $6',
    'costs $5',
    '[a](b)',
    '[a](javascript:alert(1))',
    '[a](data:text/html,x)',
    '<img src=x onerror=alert(1)>',
    'a ** b',
  ])('that have no partner or lead nowhere are text: %s', (text) => {
    expect(parseInline(text)).toEqual([{ kind: 'text', text }]);
  });

  it('are taken literally behind a backslash', () => {
    expect(parseInline('\\*a\\* \\$5\\$ \\\\ \\n')).toEqual([{ kind: 'text', text: '*a* $5$ \\ \\n' }]);
  });

  it('lose no letter and never fail, whatever is typed', () => {
    const typed = fc.array(fc.constantFrom('*', '**', '`', '$', '[', ']', '(', ')', ' ', 'a', 'ß', '𝜎', '<b>', '\n'), {
      maxLength: 40,
    });
    fc.assert(
      fc.property(typed, (parts) => {
        const letters = (text: string): string => text.replace(/[^aß𝜎]/gu, '');
        expect(letters(plainText(parseInline(parts.join(''))))).toBe(letters(parts.join('')));
      }),
      { numRuns: 500 },
    );
  });

  it('take no time to speak of in a text of nothing but marks', () => {
    for (const mark of ['*', '**', '`', '$', '[', '[a](', '*a ']) {
      const start = performance.now();
      parseInline(mark.repeat(4000 / mark.length));
      expect(performance.now() - start).toBeLessThan(1500);
    }
  });

  it('link to the web only', () => {
    expect(webAddress('https://a.org/b?c#d')).toBe('https://a.org/b?c#d');
    for (const bad of ['javascript:x', 'data:,x', 'file:///x', 'x', '//x', 'vbscript:x', ' javascript:x']) {
      expect(webAddress(bad)).toBeUndefined();
    }
  });
});

/** A formula's tree in short: what is in what. */
function short(node: MathsNode): string {
  switch (node.kind) {
    case 'row':
      return node.children.map(short).join(' ');
    case 'fraction':
      return `(${short(node.over)} over ${short(node.under)})`;
    case 'root':
      return `root(${short(node.child)})`;
    case 'scripts':
      return `${short(node.base)}[${node.sub === undefined ? '' : short(node.sub)};${node.sup === undefined ? '' : short(node.sup)}]`;
    case 'space':
      return '_';
    default:
      return `${node.kind[0]!}:${node.text}`;
  }
}

describe('formulas', () => {
  it.each([
    ['y = W x', 'i:y o:= i:W i:x'],
    ['W_{ij}^2', 'i:W[w:ij;n:2]'],
    ['\\frac{α}{r} B A', '(i:α over i:r) i:B i:A'],
    ['\\sqrt{x + 1}', 'root(i:x o:+ n:1)'],
    ['−log σ(m),  m', 'o:− f:log i:σ o:( i:m o:) o:, _ i:m'],
    ['y_w', 'i:y[i:w;]'],
    ['3.14', 'n:3.14'],
    ['{a b}^2', 'i:a i:b[;n:2]'],
    ['a_', 'i:a o:_'],
    ['\\foo', 'o:\\foo'],
    ['}', 'o:}'],
    ['{a', 'i:a'],
    ['', ''],
  ])('%s is read as %s', (source, tree) => {
    expect(short(parseMaths(source))).toBe(tree);
  });

  it('never fail, however braces and signs stand', () => {
    const typed = fc.array(fc.constantFrom('{', '}', '_', '^', '\\frac', '\\sqrt', '\\', 'a', '1', ' ', '𝜎', '<'), {
      maxLength: 30,
    });
    fc.assert(
      fc.property(typed, (parts) => void short(parseMaths(parts.join('')))),
      { numRuns: 500 },
    );
  });

  it('do not run out of stack in five hundred characters, which is as long as one may be', () => {
    expect(() => parseMaths('{'.repeat(500))).not.toThrow();
    expect(() => parseMaths('\\frac'.repeat(100))).not.toThrow();
  });
});

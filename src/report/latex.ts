// latex.ts: texts and tables as LaTeX (booktabs), for pdflatex with nothing but what every installation has. Whatever comes from
// a model, a file or a name goes through {@link latex}: no text can become a command. What the tables say is paperLatex.ts.

const COMMANDS: Readonly<Record<string, string>> = {
  '\\': '\\textbackslash{}',
  '{': '\\{',
  '}': '\\}',
  $: '\\$',
  '&': '\\&',
  '#': '\\#',
  '%': '\\%',
  _: '\\_',
  '~': '\\textasciitilde{}',
  '^': '\\textasciicircum{}',
  '<': '\\textless{}',
  '>': '\\textgreater{}',
  '|': '\\textbar{}',
  '"': '\\textquotedbl{}',
  '±': '$\\pm$',
  '×': '$\\times$',
  '·': '$\\cdot$',
  '→': '$\\rightarrow$',
  '−': '$-$',
  β: '$\\beta$',
  α: '$\\alpha$',
  '–': '--',
  '—': '---',
  '…': '\\dots{}',
  '’': "'",
  '‘': '`',
  '“': '``',
  '”': "''",
  '\u00a0': '~',
};

/** A text as LaTeX. Letters beyond Latin-1, which pdflatex stops at, become their number: `[U+4E2D]`. */
export function latex(text: string): string {
  return Array.from(
    text.replace(/\s/g, (c) => (c === '\u00a0' ? c : ' ')),
    (c) => {
      const known = COMMANDS[c];
      if (known !== undefined) return known;
      const code = c.codePointAt(0)!;
      if (code >= 0x20 && code < 0x7f) return c;
      // Letters with accents of Latin-1; its other signs have no glyph in every font.
      if (code >= 0xc0 && code <= 0xff && c !== '÷') return c;
      return `[U+${code.toString(16).toUpperCase().padStart(4, '0')}]`;
    },
  ).join('');
}

export interface LatexTable {
  /** LaTeX already, as all texts here. */
  caption: string;
  /** For \ref. */
  label: string;
  /** One letter a column: l, r or c. */
  columns: string;
  heads: readonly (readonly string[])[];
  /** Rows by groups; a rule stands between groups. */
  groups: readonly (readonly (readonly string[])[])[];
}

const line = (cells: readonly string[]): string => `${cells.join(' & ')} \\\\`;

/** A table that fits the width of a page: a wide one is made smaller. */
export function latexTable({ caption, label, columns, heads, groups }: LatexTable): string {
  const body = groups.filter((group) => group.length > 0).map((group) => group.map(line).join('\n'));
  return `\\begin{table}[p]
\\centering\\footnotesize
\\resizebox{\\ifdim\\width>\\linewidth\\linewidth\\else\\width\\fi}{!}{%
\\begin{tabular}{${columns}}
\\toprule
${heads.map(line).join('\n')}
\\midrule
${body.join('\n\\midrule\n')}
\\bottomrule
\\end{tabular}}
\\caption{${caption}}
\\label{${label}}
\\end{table}
`;
}

/** A whole document of parts that are LaTeX already. */
export function latexDocument(title: string, parts: readonly string[]): string {
  return `\\documentclass{article}
\\usepackage[utf8]{inputenc}
\\usepackage[T1]{fontenc}
\\usepackage[a4paper,margin=2cm]{geometry}
\\usepackage{booktabs}
\\usepackage{graphicx}
\\title{${title}}
\\date{}
\\begin{document}
\\maketitle
${parts.join('\n')}
\\end{document}
`;
}

// page.ts: what every page of a report is made of: the document around it, sections, lists of terms. Self-contained: no
// script, no network. It knows no run and no series.
import { escapeHtml } from './escape';
import { REPORT_STYLE } from './style';

/** A whole HTML document. `body` is HTML already; title and version are texts. */
export function page(title: string, pupilVersion: string, body: string): string {
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="generator" content="Pupil ${escapeHtml(pupilVersion)}">
<title>${escapeHtml(title)} – Pupil report</title>
<style>${REPORT_STYLE}</style>
</head>
<body><main>
${body}
</main></body>
</html>
`;
}

/** A section of parts that are HTML already; nothing where all are empty. */
export function section(title: string, ...parts: string[]): string {
  const body = parts.filter((part) => part !== '').join('\n');
  return body === '' ? '' : `<section><h2>${escapeHtml(title)}</h2>\n${body}</section>`;
}

export function definitions(entries: readonly (readonly [string, string])[]): string {
  return `<dl>${entries.map(([term, value]) => `<dt>${escapeHtml(term)}</dt><dd>${escapeHtml(value)}</dd>`).join('')}</dl>`;
}

// drawing.ts: a chart as an SVG text: in a page of a report, where colours come from its style sheet, and as a file of its own
// that opens anywhere. Axes, grid and legends are here; what is drawn between them is chart.ts and barChart.ts.
import { escapeHtml, number } from './escape';

/** A chart that has been drawn, not yet put anywhere. */
export interface Drawing {
  title: string;
  /** In words, for those who do not see it. */
  described: string;
  width: number;
  height: number;
  /** SVG within the frame. */
  body: string;
  /** Empty where there is nothing to tell apart. `colour`: one of the style sheet's. */
  legend: readonly { name: string; colour: number; mark: 'line' | 'area' | 'dash' }[];
}

/** As many as the style sheet has. */
export const COLOURS = 6;
export const FRAME = { left: 58, right: 14, top: 12, bottom: 38 };

export const at = (n: number): string => n.toFixed(1);

/**
 * Round tick values that cover [low, high]: multiples of 1, 2 or 5 times a power of ten, about `wanted` of them.
 * A range of no width gets one of width 1 around it.
 */
export function niceTicks(low: number, high: number, wanted = 5): number[] {
  const [from, to] = high > low ? [low, high] : [low - 0.5, low + 0.5];
  const rough = (to - from) / Math.max(1, wanted);
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = ([1, 2, 5, 10].find((m) => m * power >= rough * 0.999) ?? 10) * power;
  const first = Math.floor(from / step);
  const last = Math.ceil(to / step - 1e-9);
  return Array.from({ length: last - first + 1 }, (_, i) => Number(((first + i) * step).toPrecision(12)));
}

/** Upright positions of values between the lowest and the highest tick. */
export function heightScale(ticks: readonly number[], height: number): (y: number) => number {
  const [low, high] = [ticks[0] ?? 0, ticks.at(-1) ?? 1];
  return (y) => height - FRAME.bottom - ((y - low) / (high - low || 1)) * (height - FRAME.top - FRAME.bottom);
}

/** Lines across, their numbers, the axis below and what it is of. */
export function gridOf(
  ticks: readonly number[],
  py: (y: number) => number,
  { width, height }: Pick<Drawing, 'width' | 'height'>,
  xLabel: string,
): string {
  const across = (y: number): string => `x1="${FRAME.left}" x2="${width - FRAME.right}" y1="${at(y)}" y2="${at(y)}"`;
  return [
    ...ticks.map(
      (y) =>
        `<line class="grid" ${across(py(y))}/>` +
        `<text x="${FRAME.left - 8}" y="${at(py(y) + 4)}" text-anchor="end">${number(y)}</text>`,
    ),
    `<line class="axis" ${across(height - FRAME.bottom)}/>`,
    `<text class="label" x="${(FRAME.left + width - FRAME.right) / 2}" y="${height - 4}" text-anchor="middle">${escapeHtml(xLabel)}</text>`,
  ].join('');
}

/** In a page of a report, with caption and legend. */
export function inlineFigure({ title, described, width, height, body, legend }: Drawing): string {
  const key = ({ colour, mark }: Drawing['legend'][number]): string =>
    `<i class="key-${colour}${mark === 'dash' ? ' dash' : ''}"></i>`;
  const below =
    legend.length === 0
      ? ''
      : `<p class="legend">${legend.map((one) => `<span>${key(one)}${escapeHtml(one.name)}</span>`).join('')}</p>`;
  return (
    `<figure><figcaption>${escapeHtml(title)}</figcaption>` +
    `<svg viewBox="0 0 ${width} ${height}" role="img" aria-label="${escapeHtml(`${title}: ${described}`)}">` +
    `${body}</svg>${below}</figure>`
  );
}

/** The style sheet's light colours; a file on its own has no other. */
const PALETTE = ['#2f6fb2', '#c2571a', '#1a7f5a', '#7a4bb0', '#8a6d00', '#a8325e'];
const FILE_STYLE =
  'text{fill:#5d6570;font:12px system-ui,sans-serif}.title{fill:#1f2328;font-weight:600;font-size:13px}' +
  '.grid{stroke:#dcd9d1}.axis{stroke:#5d6570}.value{fill:#1f2328;font-size:10px}.range{stroke:#1f2328;stroke-width:1.2}' +
  '.dash{stroke-dasharray:5 3}' +
  PALETTE.map(
    (colour, i) =>
      `.line-${i}{fill:none;stroke:${colour};stroke-width:1.8;stroke-linejoin:round}.dot-${i},.bar-${i}{fill:${colour}}`,
  ).join('');
const LINE = 18;
/** Of a letter of 12 pixels, generously: a file cannot measure. */
const LETTER = 6.6;

/** As a file: title above, legend below, on white. */
export function svgFile({ title, described, width, height, body, legend }: Drawing): string {
  const wrapped = wrap(title, (width - 20) / (LETTER * 1.1));
  const top = 10 + LINE * wrapped.length;
  const places: { x: number; row: number }[] = [];
  let [x, row] = [FRAME.left, 0];
  for (const { name } of legend) {
    const room = 30 + LETTER * [...name].length;
    if (x > FRAME.left && x + room > width) [x, row] = [FRAME.left, row + 1];
    places.push({ x, row });
    x += room;
  }
  const below = legend.length === 0 ? 6 : LINE * (row + 1) + 10;
  const keys = legend.map(({ name, colour, mark }, i) => {
    const y = top + height + 10 + LINE * places[i]!.row;
    const left = places[i]!.x;
    const shape =
      mark === 'area'
        ? `<rect class="bar-${colour}" x="${at(left)}" y="${at(y - 5)}" width="16" height="10"/>`
        : `<line class="line-${colour}${mark === 'dash' ? ' dash' : ''}" x1="${at(left)}" x2="${at(left + 16)}" y1="${at(y)}" y2="${at(y)}"/>`;
    return `${shape}<text x="${at(left + 22)}" y="${at(y + 4)}">${escapeHtml(name)}</text>`;
  });
  const total = top + height + below;
  return (
    `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${total}" viewBox="0 0 ${width} ${total}" role="img">` +
    `<title>${escapeHtml(title)}</title><desc>${escapeHtml(described)}</desc><style>${FILE_STYLE}</style>` +
    `<rect width="${width}" height="${total}" fill="#fff"/>` +
    wrapped
      .map((text, i) => `<text class="title" x="10" y="${10 + LINE * i + 9}">${escapeHtml(text)}</text>`)
      .join('') +
    `<g transform="translate(0 ${top})">${body}</g>${keys.join('')}</svg>\n`
  );
}

/** Words in lines of at most so many letters, where words allow. */
function wrap(text: string, most: number): string[] {
  const lines: string[] = [];
  for (const word of text.split(/\s+/)) {
    const last = lines.at(-1);
    if (last !== undefined && last.length + 1 + word.length <= most) lines[lines.length - 1] = `${last} ${word}`;
    else lines.push(word);
  }
  return lines;
}

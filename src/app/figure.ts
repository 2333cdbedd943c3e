// figure.ts: what a figure of the page is drawn with and how it leaves the page: the style sheet's colours as plain values, the
// drawing with its legend, and SVG, PNG and CSV that need nothing of the page. What is drawn, and where, is Figure.svelte.
import type * as PlotModule from '@observablehq/plot';
import type { PlotOptions } from '@observablehq/plot';
import { PupilError } from '../base/errors';

export type Plot = typeof PlotModule;
export type { PlotOptions } from '@observablehq/plot';

/** Colours of page.css as `rgb(…)`, and a length in pixels. */
export interface FigureTheme {
  ink: string;
  soft: string;
  rule: string;
  paper: string;
  /** The four line colours. */
  lines: readonly [string, string, string, string];
  good: string;
  bad: string;
  fontSize: number;
}

export interface FigureTable {
  columns: readonly { title: string; numeric?: boolean }[];
  rows: readonly (readonly string[])[];
}

/** What a colour and a mark stand for. */
export interface LegendEntry {
  label: string;
  colour: string;
  mark?: 'square' | 'line' | 'dash';
  /** Of a line: lengths of strokes and gaps, where it is not the plain dash. */
  strokes?: string;
}

/** A plot's options, and the words for its colours. */
export interface FigurePlot {
  options: PlotOptions;
  legend?: readonly LegendEntry[];
}

const FONT = 'system-ui, sans-serif';
/** Of exported figures, whatever the window. */
export const EXPORT_WIDTH = 800;
const EXPORT_FONT_SIZE = 13;
export const PNG_SCALE = 2;

/**
 * The colours that hold at this element; custom properties may be `light-dark(…)`, which only a used colour resolves.
 * `light`: as on a light page, for what is exported.
 */
export function themeAt(element: Element, { light = false }: { light?: boolean } = {}): FigureTheme {
  const probe = document.createElement('span');
  probe.hidden = true;
  if (light) probe.style.colorScheme = 'light';
  element.append(probe);
  const colour = (name: string): string => {
    probe.style.color = `var(${name})`;
    return getComputedStyle(probe).color;
  };
  const theme: FigureTheme = {
    ink: colour('--ink'),
    soft: colour('--soft'),
    rule: colour('--rule'),
    paper: light ? 'rgb(255, 255, 255)' : colour('--card'),
    lines: [colour('--line-0'), colour('--line-1'), colour('--line-2'), colour('--line-3')],
    good: colour('--good'),
    bad: colour('--bad'),
    fontSize: light
      ? EXPORT_FONT_SIZE
      : Math.round(0.82 * Number.parseFloat(getComputedStyle(document.documentElement).fontSize)),
  };
  probe.remove();
  return theme;
}

const SVG = 'http://www.w3.org/2000/svg';

function svgElement(name: string, attributes: Record<string, string | number>): SVGElement {
  const element = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, String(value));
  return element;
}

/** Legend entries in rows no wider than the figure; widths are estimated, so that every browser breaks them alike. */
function legendLines(entries: readonly LegendEntry[], width: number, fontSize: number): LegendEntry[][] {
  const lines: LegendEntry[][] = [[]];
  let used = 0;
  for (const entry of entries) {
    const own = entryWidth(entry, fontSize);
    if (used > 0 && used + own > width) {
      lines.push([]);
      used = 0;
    }
    lines.at(-1)!.push(entry);
    used += own;
  }
  return lines;
}

/** Long enough for its strokes to be told apart. */
const LINE_EMS = 2.2;
const entryWidth = ({ label }: LegendEntry, fontSize: number): number =>
  fontSize * (1.3 + LINE_EMS + 0.58 * label.length);

function drawLegend(lines: readonly (readonly LegendEntry[])[], theme: FigureTheme, left: number): SVGElement {
  const { fontSize } = theme;
  // Plot's own SVG centres its texts; these begin beside their marks.
  const group = svgElement('g', { 'text-anchor': 'start', 'font-size': fontSize, fill: theme.ink });
  lines.forEach((line, row) => {
    let x = left;
    const y = fontSize * (1 + 1.5 * row);
    for (const entry of line) {
      const { colour, mark = 'square', label, strokes = mark === 'dash' ? '4 3' : undefined } = entry;
      const size = fontSize * 0.8;
      group.append(
        mark === 'square'
          ? svgElement('rect', { x, y: y - size, width: size, height: size, fill: colour, rx: 2 })
          : svgElement('line', {
              x1: x,
              x2: x + LINE_EMS * fontSize,
              y1: y - size / 2,
              y2: y - size / 2,
              stroke: colour,
              'stroke-width': 2,
              ...(strokes === undefined ? {} : { 'stroke-dasharray': strokes }),
            }),
      );
      const text = svgElement('text', { x: x + (mark === 'square' ? 1.2 : LINE_EMS + 0.4) * fontSize, y });
      text.textContent = label;
      group.append(text);
      x += entryWidth(entry, fontSize);
    }
  });
  return group;
}

/** The figure as one SVG: colours as plain values, nothing that a style sheet or a font file must add. */
export function drawFigure(
  plot: Plot,
  { options, legend = [] }: FigurePlot,
  theme: FigureTheme,
  width: number,
): SVGSVGElement {
  const lines = legend.length === 0 ? [] : legendLines(legend, width - 16, theme.fontSize);
  const top = lines.length === 0 ? 0 : theme.fontSize * (0.9 + 1.5 * lines.length);
  const drawn = plot.plot({
    ...options,
    width,
    className: 'figure-plot',
    style: {
      fontSize: `${theme.fontSize}px`,
      fontFamily: FONT,
      color: theme.ink,
      background: 'none',
      overflow: 'visible',
    },
  });
  const svg = drawn instanceof SVGSVGElement ? drawn : drawn.querySelector('svg');
  if (svg === null) throw new PupilError('browser', 'figure: expected the plot to be an SVG');
  const height = Number(svg.getAttribute('height')) + top;
  for (const style of svg.querySelectorAll('style')) style.remove();
  const body = svgElement('g', { transform: `translate(0 ${top})` });
  body.append(...svg.childNodes);
  svg.replaceChildren(...(lines.length === 0 ? [] : [drawLegend(lines, theme, 8)]), body);
  svg.removeAttribute('class');
  svg.removeAttribute('style');
  for (const [name, value] of Object.entries({
    width,
    height,
    viewBox: `0 0 ${width} ${height}`,
    'font-family': FONT,
    'font-size': theme.fontSize,
    fill: theme.ink,
  })) {
    svg.setAttribute(name, String(value));
  }
  for (const element of svg.querySelectorAll('*')) {
    element.removeAttribute('class');
    for (const { name, value } of element.attributes) {
      const plain = value.replaceAll('currentColor', theme.ink).replaceAll('var(--plot-background)', theme.paper);
      if (plain !== value) element.setAttribute(name, plain);
    }
  }
  return svg;
}

/** XML allows fewer characters than a name in a file may have. */
// eslint-disable-next-line no-control-regex -- these are what must not be in the file
const NOT_XML = /[\u0000-\u0008\u000b\u000c\u000e-\u001f\ufffe\uffff]/g;

/** A file that any program opens: with its title, description and a background. */
export function svgText(svg: SVGSVGElement, about: { title: string; description: string; paper: string }): string {
  const copy = svg.cloneNode(true) as SVGSVGElement;
  const [title, description] = (['title', 'desc'] as const).map((name, i) => {
    const element = svgElement(name, {});
    element.textContent = [about.title, about.description][i]!;
    return element;
  }) as [SVGElement, SVGElement];
  const background = svgElement('rect', { width: '100%', height: '100%', fill: about.paper });
  copy.prepend(title, description, background);
  copy.setAttribute('xmlns', SVG);
  copy.setAttribute('role', 'img');
  copy.removeAttribute('aria-hidden');
  return new XMLSerializer().serializeToString(copy).replaceAll(NOT_XML, '\ufffd');
}

/**
 * The same as pixels, {@link PNG_SCALE} for each.
 * @throws PupilError `browser` where the browser cannot draw it.
 */
export async function pngOf(svg: string, width: number, height: number): Promise<Uint8Array> {
  const address = URL.createObjectURL(new Blob([svg], { type: 'image/svg+xml' }));
  try {
    const image = new Image(width, height);
    image.src = address;
    await image.decode();
    const canvas = Object.assign(document.createElement('canvas'), {
      width: Math.round(width * PNG_SCALE),
      height: Math.round(height * PNG_SCALE),
    });
    canvas.getContext('2d')!.drawImage(image, 0, 0, canvas.width, canvas.height);
    const blob = await new Promise<Blob | null>((resolve) => canvas.toBlob(resolve, 'image/png'));
    if (blob === null) throw new Error('the canvas gave no picture');
    return new Uint8Array(await blob.arrayBuffer());
  } catch (error) {
    throw new PupilError(
      'browser',
      `figure: expected this browser to draw the SVG as a picture (${error instanceof Error ? error.message : String(error)})`,
      'Save the SVG instead: any drawing program opens it.',
    );
  } finally {
    URL.revokeObjectURL(address);
  }
}

/** A table as CSV (RFC 4180). */
export function csvText({ columns, rows }: FigureTable): string {
  const field = (text: string): string => (/[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text);
  return [columns.map(({ title }) => title), ...rows].map((row) => `${row.map(field).join(',')}\r\n`).join('');
}

/** The same for pasting into a sheet. */
export function tabbedText({ columns, rows }: FigureTable): string {
  const field = (text: string): string => text.replaceAll(/[\t\r\n]+/g, ' ');
  return [columns.map(({ title }) => title), ...rows].map((row) => row.map(field).join('\t')).join('\n');
}

// format.ts: numbers, and a device's kernel variants, as the page writes them. The report has its own, since it is made where
// there is no page.
import type { VariantsReport } from '../session/protocol';

const UNITS = ['bytes', 'KiB', 'MiB', 'GiB', 'TiB'];

/** 3642368 → `3.5 MiB`. */
export function formatBytes(size: number | undefined): string {
  if (size === undefined) return 'unknown';
  let value = size;
  let unit = 0;
  while (value >= 1024 && unit < UNITS.length - 1) {
    value /= 1024;
    unit++;
  }
  return `${unit === 0 ? value : value.toFixed(1)} ${UNITS[unit] ?? ''}`;
}

/** 0.9125 → `91.3`. */
export function formatPercent(share: number): string {
  return Number.isFinite(share) ? (share * 100).toFixed(1) : '–';
}

/** Four significant digits; large whole numbers with separators. */
export function formatNumber(value: number): string {
  if (!Number.isFinite(value)) return String(value);
  // Not by toLocaleString: the first call of a page reads the language's tables, 10 ms and more in the middle of a drawing.
  if (Number.isInteger(value)) return String(value).replace(/\B(?=(\d{3})+$)/g, ',');
  const size = Math.abs(value);
  return size < 1e-3 || size >= 1e6 ? value.toExponential(2) : String(Number(value.toPrecision(4)));
}

/** 1, `row` → `1 row`; 1200 → `1,200 rows`. */
export function formatCount(count: number, one: string, several = `${one}s`): string {
  return `${formatNumber(count)} ${count === 1 ? one : several}`;
}

/** 0.4 → `less than a second`; 42 → `42 s`; 95 → `1 min 35 s`; 4000 → `1 h 7 min`; 200000 → `2 d 8 h`. */
export function formatDuration(seconds: number): string {
  if (!Number.isFinite(seconds)) return 'unknown';
  if (seconds < 1) return 'less than a second';
  const whole = Math.round(seconds);
  if (whole < 60) return `${whole} s`;
  const minutes = Math.floor(whole / 60);
  if (minutes < 10) return `${minutes} min${whole % 60 === 0 ? '' : ` ${whole % 60} s`}`;
  if (whole < 3600) return `${Math.round(whole / 60)} min`;
  const hours = Math.floor(whole / 3600);
  if (hours < 48) return `${hours} h${minutes % 60 === 0 ? '' : ` ${minutes % 60} min`}`;
  return `${Math.floor(hours / 24)} d${hours % 24 === 0 ? '' : ` ${hours % 24} h`}`;
}

/** ISO time → `2026-03-01 14:05`. */
export function formatTime(iso: string): string {
  const time = new Date(iso);
  if (Number.isNaN(time.getTime())) return iso;
  const two = (n: number): string => String(n).padStart(2, '0');
  return `${time.getFullYear()}-${two(time.getMonth() + 1)}-${two(time.getDate())} ${two(time.getHours())}:${two(time.getMinutes())}`;
}

/** Whence the choice of kernel variants is known. */
export function variantSource({ source, reason }: VariantsReport): string {
  return `${source === 'measured' ? 'measured now' : source} (${reason})`;
}

/** The variant of each class of products with the milliseconds of all that were tried; tier `auto` and why. */
export function variantLines({ choice, milliseconds, autoTier }: VariantsReport): string[] {
  const tried = (name: string): string =>
    Object.entries(milliseconds[name] ?? {})
      .map(([variant, ms]) => `${variant} ${formatNumber(ms)} ms`)
      .join(', ');
  return [
    ...Object.entries(choice).map(([name, variant]) => {
      const times = tried(name);
      return `${name.replaceAll('_', ' ')}: ${variant}${times === '' ? '' : ` (${times})`}`;
    }),
    `tier auto: ${autoTier.tier} (${autoTier.reason})`,
  ];
}

/** A time that is estimated: `40 s`, `3 min`, `1.5 h`. */
export function formatSeconds(seconds: number): string {
  if (seconds < 90) return `${Math.ceil(seconds)} s`;
  return seconds < 5400 ? `${Math.ceil(seconds / 60)} min` : `${(seconds / 3600).toFixed(1)} h`;
}

/** Short enough for the axis of a chart: 0.00002 → `2e-5`. */
export function axisNumber(value: number): string {
  const size = Math.abs(value);
  if (size !== 0 && (size < 1e-3 || size >= 1e5)) return value.toExponential().replace('e+', 'e');
  return String(Number(value.toPrecision(6)));
}

// escape.ts: text and numbers as HTML. Everything in a report that came from a model, a data set or a file goes through
// here; no other file of report/ writes such text.

const ENTITIES: Record<string, string> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;' };

/** Characters below U+0020 that HTML forbids: all but tab, line feed and carriage return. */
function isForbidden(code: number): boolean {
  return code < 0x20 && code !== 0x09 && code !== 0x0a && code !== 0x0d;
}

/** A text as HTML content or attribute value. Control characters that HTML forbids become U+FFFD. */
export function escapeHtml(text: string): string {
  const escaped = text.replace(/[&<>"']/g, (c) => ENTITIES[c] ?? c);
  return Array.from(escaped, (c) => (isForbidden(c.charCodeAt(0)) ? '\ufffd' : c)).join('');
}

/** A share as per cent with one decimal: 0.9125 → `91.3`. */
export function percent(share: number): string {
  return Number.isFinite(share) ? (share * 100).toFixed(1) : '–';
}

/** A number for people: integers with thin grouping, small ones with four significant digits. */
export function number(value: number): string {
  if (!Number.isFinite(value)) return Number.isNaN(value) ? 'NaN' : value > 0 ? '∞' : '−∞';
  if (Number.isInteger(value)) return Math.abs(value) < 10_000 ? String(value) : value.toLocaleString('en-US');
  const size = Math.abs(value);
  return size !== 0 && (size < 1e-3 || size >= 1e6) ? value.toExponential(2) : String(Number(value.toPrecision(4)));
}

/** A p-value: never `0`. */
export function pValue(p: number): string {
  return p < 0.001 ? '&lt; 0.001' : p.toFixed(3);
}

const BYTE_UNITS = ['bytes', 'KiB', 'MiB', 'GiB', 'TiB'];

/** Bytes with a binary unit: 3642368 → `3.5 MiB`. */
export function bytes(size: number): string {
  let value = size;
  let unit = 0;
  while (Math.abs(value) >= 1024 && unit < BYTE_UNITS.length - 1) {
    value /= 1024;
    unit++;
  }
  return `${unit === 0 ? value : value.toFixed(1)} ${BYTE_UNITS[unit] ?? ''}`;
}

/** Seconds as `1 h 02 min`, `3 min 07 s` or `4.2 s`. */
export function duration(seconds: number): string {
  if (!Number.isFinite(seconds)) return '–';
  const whole = Math.round(seconds);
  const two = (n: number): string => String(n).padStart(2, '0');
  if (whole >= 3600) return `${Math.floor(whole / 3600)} h ${two(Math.floor((whole % 3600) / 60))} min`;
  if (whole >= 60) return `${Math.floor(whole / 60)} min ${two(whole % 60)} s`;
  return `${seconds.toFixed(1)} s`;
}

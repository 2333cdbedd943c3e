// longTaskTrace.mjs: reads a Chromium trace: the long tasks of one page's main thread, and what each of them did. A task's time
// is told twice: on the clock, and as time that the thread had a processor (which other programs on the machine change little).
// It starts no browser and measures nothing.

/** @typedef {{ name: string, ph: string, pid: number, tid: number, ts: number, dur?: number, tdur?: number, id?: string, args?: any }} TraceEvent */
/** @typedef {{ what: string, ms: number }} Part */
/**
 * @typedef {object} LongTask
 * @property {number} atMs since the first mark
 * @property {number} ms on the clock
 * @property {number} cpuMs of a processor
 * @property {Part[]} parts by their own time, without what is nested in them; the largest first
 * @property {Part[]} functions sampled: the whole time in them, with what they call; empty where functions were not sampled
 */

/** Categories that the reading needs; the second list samples functions, which costs time of its own. */
export const CATEGORIES = [
  'toplevel',
  'devtools.timeline',
  'disabled-by-default-devtools.timeline',
  'blink.user_timing',
  'v8',
];
export const FUNCTION_CATEGORIES = ['disabled-by-default-v8.cpu_profiler'];

/** Of category `toplevel`; the timeline's own `RunTask` lies within it. */
const TASK = 'ThreadControllerImpl::RunTask';
const LONG_MS = 50;
const PARTS = 5;

/** @param {Map<string, number>} times @returns {Part[]} */
const largest = (times, count = PARTS) =>
  [...times]
    .map(([what, us]) => ({ what, ms: Math.round(us / 100) / 10 }))
    .filter(({ ms }) => ms >= 1)
    .sort((a, b) => b.ms - a.ms)
    .slice(0, count);

/** `FunctionCall draw LiveMetrics-abc.js:12` @param {TraceEvent} event */
function nameOf({ name, args }) {
  const { functionName = '', url = '', lineNumber, type } = args?.data ?? {};
  const file = url === '' ? '' : ` ${String(url).split('/').at(-1)}${lineNumber === undefined ? '' : `:${lineNumber}`}`;
  return `${name}${functionName === '' ? '' : ` ${functionName}`}${name === 'EventDispatch' && type ? ` ${type}` : ''}${file}`;
}

/**
 * Own times of the events within a task: nested ones are taken off the one around them.
 * @param {readonly TraceEvent[]} events complete ones of one thread, in order of their beginning
 */
function ownTimes(events) {
  /** @type {Map<string, number>} */
  const times = new Map();
  /** @type {{ name: string, end: number }[]} */
  const open = [];
  const add = (/** @type {string} */ name, /** @type {number} */ us) => times.set(name, (times.get(name) ?? 0) + us);
  for (const event of events) {
    const dur = event.dur ?? 0;
    let around = open.at(-1);
    while (around !== undefined && around.end <= event.ts) {
      open.pop();
      around = open.at(-1);
    }
    if (around !== undefined) add(around.name, -dur);
    const name = nameOf(event);
    add(name, dur);
    open.push({ name, end: event.ts + dur });
  }
  return times;
}

/**
 * Samples of the thread's functions: when, and the stack from the innermost out.
 * @param {readonly TraceEvent[]} events @param {number} pid @param {number} tid
 */
function samplesOf(events, pid, tid) {
  const profile = events.find((event) => event.name === 'Profile' && event.pid === pid && event.tid === tid);
  if (profile === undefined) return [];
  /** @type {Map<number, { parent?: number, callFrame: { functionName: string, url?: string, lineNumber?: number } }>} */
  const nodes = new Map();
  let at = profile.args.data.startTime;
  const samples = [];
  const chunks = events.filter(({ name, pid: p, id }) => name === 'ProfileChunk' && p === pid && id === profile.id);
  for (const { args } of chunks.sort((a, b) => a.ts - b.ts)) {
    const { cpuProfile = {}, timeDeltas = [] } = args.data;
    for (const node of cpuProfile.nodes ?? []) nodes.set(node.id, node);
    for (const [i, id] of (cpuProfile.samples ?? []).entries()) {
      at += timeDeltas[i];
      const stack = [];
      for (let node = nodes.get(id); node !== undefined; node = nodes.get(node.parent ?? -1)) {
        const { functionName, url = '', lineNumber = -1 } = node.callFrame;
        const file = url === '' ? '' : ` ${url.split('/').at(-1)}:${lineNumber + 1}`;
        stack.push(`${functionName === '' ? 'anonymous' : functionName}${file}`);
      }
      samples.push({ at, us: timeDeltas[i], stack });
    }
  }
  return samples;
}

/**
 * The long tasks between two marks of `performance.mark` in the page.
 * @param {readonly TraceEvent[]} events
 * @param {{ from: string, to: string }} marks
 * @returns {LongTask[]} in order
 * @throws {Error} where the trace has no such marks
 */
export function longTasks(events, { from, to }) {
  const start = events.find(({ name }) => name === from);
  const end = events.find(({ name }) => name === to);
  if (start === undefined || end === undefined) throw new Error(`trace: expected the marks ${from} and ${to}`);
  const { pid, tid } = start;
  const own = events
    .filter((event) => event.pid === pid && event.tid === tid && event.ph === 'X')
    .sort((a, b) => a.ts - b.ts || (b.dur ?? 0) - (a.dur ?? 0));
  const samples = samplesOf(events, pid, tid);
  return own
    .filter(({ name, ts, dur = 0 }) => name === TASK && dur >= LONG_MS * 1000 && ts + dur >= start.ts && ts <= end.ts)
    .map((task) => {
      const until = task.ts + (task.dur ?? 0);
      const within = own.filter(({ ts, dur = 0 }) => ts >= task.ts && ts + dur <= until);
      /** @type {Map<string, number>} */
      const functions = new Map();
      for (const { at, us, stack } of samples) {
        if (at < task.ts || at > until) continue;
        for (const name of new Set(stack)) functions.set(name, (functions.get(name) ?? 0) + us);
      }
      for (const name of ['(root)', '(program)', '(idle)']) functions.delete(name);
      return {
        atMs: Math.round((task.ts - start.ts) / 1000),
        ms: Math.round((task.dur ?? 0) / 1000),
        cpuMs: Math.round((task.tdur ?? 0) / 1000),
        parts: largest(ownTimes(within)),
        functions: largest(functions, 20),
      };
    });
}

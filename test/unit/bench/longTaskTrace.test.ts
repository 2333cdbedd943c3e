// longTaskTrace.test.ts: a trace is read as Chromium writes it: tasks of the marked thread between the marks, own times without what
// is nested, sampled functions with what they call.
import { describe, expect, it } from 'vitest';
import { longTasks } from '../../../bench/longTaskTrace.mjs';
import { madeAnswers } from '../../../bench/madeAnswers.mjs';

const PAGE = { pid: 7, tid: 1 };
const TASK = 'ThreadControllerImpl::RunTask';
const MARKS = { from: 'begins', to: 'ended' };
const complete = (name: string, atMs: number, ms: number, cpuMs = ms, more: object = {}) => ({
  ...PAGE,
  ph: 'X',
  name,
  ts: 1000 * atMs,
  dur: 1000 * ms,
  tdur: 1000 * cpuMs,
  ...more,
});
const mark = (name: string, atMs: number) => ({ ...PAGE, ph: 'R', name, ts: 1000 * atMs });
const called = { args: { data: { functionName: 'draw', url: 'http://here/assets/Chart.js' } } };

describe('long tasks of a trace', () => {
  const events = [
    mark('begins', 100),
    complete(TASK, 20, 70), // before the first mark
    complete(TASK, 200, 80, 40),
    complete('FunctionCall', 205, 60, 30, called),
    complete('Layout', 210, 25),
    complete('RunTask', 201, 78), // the timeline's own event of the same task is no second one
    complete(TASK, 300, 49),
    { ...complete(TASK, 400, 90), tid: 2 }, // the worker's
    { ...complete(TASK, 400, 90), pid: 8 },
    mark('ended', 600),
    complete(TASK, 700, 90),
  ];

  it('are those of the marked thread between the marks, with their time of a processor', () => {
    expect(longTasks(events, MARKS).map(({ atMs, ms, cpuMs }) => ({ atMs, ms, cpuMs }))).toEqual([
      { atMs: 100, ms: 80, cpuMs: 40 },
    ]);
  });

  it('say what they did, without counting anything twice', () => {
    expect(longTasks(events, MARKS)[0]!.parts).toEqual([
      { what: 'FunctionCall draw Chart.js', ms: 35 },
      { what: 'Layout', ms: 25 },
      { what: 'RunTask', ms: 18 },
      { what: TASK, ms: 2 },
    ]);
  });

  it('name the functions that were sampled, each with what it calls', () => {
    const node = (id: number, functionName: string, parent?: number) => ({
      id,
      ...(parent === undefined ? {} : { parent }),
      callFrame: { functionName, url: 'http://here/a.js', lineNumber: 4 },
    });
    const profile = { ...PAGE, ph: 'P', id: '0x1' };
    const chunk = {
      cpuProfile: { nodes: [node(1, 'outer'), node(2, 'inner', 1)], samples: [1, 2, 2, 2] },
      timeDeltas: [210_000, 10_000, 20_000, 400_000],
    };
    const sampled = [
      { ...profile, name: 'Profile', ts: 0, args: { data: { startTime: 0 } } },
      { ...profile, name: 'ProfileChunk', ts: 1, tid: 9, args: { data: chunk } },
    ];
    const functions = longTasks([...events, ...sampled], MARKS)[0]!.functions;
    expect(functions).toEqual([
      { what: 'outer a.js:5', ms: 240 },
      { what: 'inner a.js:5', ms: 30 },
    ]);
  });

  it('are not looked for in a trace without the marks', () => {
    expect(() => longTasks(events.slice(1), MARKS)).toThrow('expected the marks');
  });
});

it('made answers are as many as were asked for, six a question', () => {
  const rows = madeAnswers(12).map((line) => JSON.parse(line) as { system: string; itemId: string });
  expect(rows).toHaveLength(12);
  expect(new Set(rows.map(({ itemId }) => itemId)).size).toBe(2);
  expect(new Set(rows.map(({ system }) => system)).size).toBe(3);
});

// boardText.ts: a board as lines of text, for a terminal or a file. It draws nothing else and asks nobody.
import { JOB_STATES, type Board, type BoardGrid, type BoardRow } from './boardState';

const byAttention = (rows: readonly BoardRow[]): BoardRow[] =>
  [...rows].sort((a, b) => JOB_STATES.indexOf(a.state) - JOB_STATES.indexOf(b.state)); // stable: else in the grid's order

/** `2 d 3 h`, `3 h 5 min`, `12 min`, `40 s` */
function durationText(seconds: number): string {
  const minutes = Math.round(seconds / 60);
  if (seconds < 90) return `${Math.round(seconds)} s`;
  if (minutes < 60) return `${minutes} min`;
  if (minutes < 48 * 60) return `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
  return `${Math.floor(minutes / 1440)} d ${Math.floor((minutes % 1440) / 60)} h`;
}

/** `3 of 16 runs finished, 2 running, 11 waiting, about 12 min left` */
function summaryText({ runs, finished, counts, secondsLeft, table }: BoardGrid): string {
  const parts = [`${finished} of ${runs} runs finished`];
  for (const state of JOB_STATES) {
    if (state !== 'finished' && counts[state] > 0) parts.push(`${counts[state]} ${state}`);
  }
  if (table === 'finished') parts.push('table made');
  else if (secondsLeft !== undefined && secondsLeft > 0) parts.push(`about ${durationText(secondsLeft)} left`);
  return parts.join(', ');
}

/** How fast, how long still, how long it took. */
function timeText({ tokensPerSecond, secondsLeft, seconds }: BoardRow): string[] {
  return [
    ...(tokensPerSecond === undefined ? [] : [`${tokensPerSecond} tokens/s`]),
    ...(secondsLeft === undefined ? [] : [`${durationText(secondsLeft)} left`]),
    ...(seconds === undefined ? [] : [`in ${durationText(seconds)}`]),
  ];
}

/** What stands behind a row's title and state. */
function detailText(row: BoardRow): string {
  return [
    ...(row.share === undefined ? [] : [`${Math.floor(100 * row.share)} %`]),
    ...(row.doing === undefined ? [] : [row.doing]),
    ...timeText(row),
    ...(row.where === undefined ? [] : [row.where]),
    ...(row.begun > 1 ? [`begun ${row.begun} times`] : []),
    row.id, // for --cancel and --retry
    ...(row.why === undefined ? [] : [row.why.split('\n')[0]!]),
  ].join(' · ');
}

function aboutText({ namespace, paused, stopping, workers }: Board): string {
  const running = workers.length === 0 ? '' : stopping ? ', running jobs stop' : ', running jobs go on';
  const held = paused ? ` (paused${running})` : '';
  return `${namespace}${held}, ${workers.length} ${workers.length === 1 ? 'worker' : 'workers'} busy`;
}

const EMPTY = 'No grid is in this queue. `pupil full GRID.json --queue` puts one there.';

/** A board for the page, with all its texts. */
export function boardForPage(board: Board): object {
  return {
    at: board.at,
    about: aboutText(board),
    paused: board.paused,
    ...(board.grids.length === 0 ? { empty: EMPTY } : {}),
    grids: board.grids.map((grid) => ({
      name: grid.name,
      summary: summaryText(grid),
      rows: byAttention(grid.rows).map((row) => ({ ...row, time: timeText(row).join(', ') })),
    })),
  };
}

/** `… and 3 more: 1 waiting, 2 finished` */
function moreText(rows: readonly BoardRow[]): string {
  const counts = JOB_STATES.map((state) => [rows.filter((row) => row.state === state).length, state] as const);
  const parts = counts.filter(([count]) => count > 0).map(([count, state]) => `${count} ${state}`);
  return `  … and ${rows.length} more: ${parts.join(', ')} (--once: all of them)`;
}

function gridLines(grid: BoardGrid, mostRows: number): string[] {
  const rows = byAttention(grid.rows);
  const shown = rows.length <= mostRows ? rows : rows.slice(0, mostRows - 1);
  const longest = Math.min(44, Math.max(...shown.map(({ title }) => title.length)));
  return [
    '',
    `${grid.name}: ${summaryText(grid)}`,
    ...shown.map((row) => `  ${row.state.padEnd(9)} ${fit(row.title, longest)}  ${detailText(row)}`.trimEnd()),
    ...(shown.length === rows.length ? [] : [moreText(rows.slice(shown.length))]),
  ];
}

/**
 * All of it, or what a screen has room for: lines are cut to its width, and of the rows those that matter most are shown, in
 * equal parts by grid, three at least.
 */
export function boardLines(board: Board, screen?: { width: number; height: number }): string[] {
  const grids = board.grids.length;
  let room = screen === undefined ? Infinity : screen.height - 1 - 2 * grids;
  const parts = new Map<BoardGrid, number>();
  // Small grids first: what they leave is the larger ones'.
  for (const [i, grid] of [...board.grids].sort((a, b) => a.rows.length - b.rows.length).entries()) {
    const part = Math.max(3, Math.floor(room / (grids - i)));
    parts.set(grid, part);
    room -= Math.min(part, grid.rows.length);
  }
  const lines = [aboutText(board), ...(grids === 0 ? [EMPTY] : [])];
  for (const grid of board.grids) lines.push(...gridLines(grid, parts.get(grid)!));
  return screen === undefined
    ? lines
    : lines.map((line) => (line.length > screen.width ? `${line.slice(0, screen.width - 1)}…` : line));
}

const fit = (text: string, width: number): string =>
  text.length > width ? `${text.slice(0, width - 1)}…` : text.padEnd(width);

/** What has changed since: a line for each job that is in another state, for where no screen can be redrawn. */
export function changeLines(before: Board | undefined, now: Board): string[] {
  const known = new Map(before?.grids.flatMap(({ rows }) => rows.map((row) => [row.id, row] as const)));
  const lines = now.grids.flatMap(({ rows }) =>
    rows
      .filter((row) => known.get(row.id)?.state !== row.state)
      .map((row) => `${row.state.padEnd(9)} ${row.title}  ${detailText(row)}`.trimEnd()),
  );
  for (const grid of now.grids) {
    const old = before?.grids.find((one) => one.grid === grid.grid);
    if (old === undefined || lines.length > 0) lines.push(`${grid.name}: ${summaryText(grid)}`);
  }
  return lines;
}

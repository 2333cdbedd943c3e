// boardText.ts: a board as lines of text, for a terminal or a file. It draws nothing else and asks nobody.
import type { Board, BoardGrid, BoardRow } from './boardState';

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
  for (const state of ['running', 'waiting', 'delayed', 'blocked', 'failed', 'cancelled'] as const) {
    if (counts[state] > 0) parts.push(`${counts[state]} ${state}`);
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

/** A board for the page, with all its texts. */
export function boardForPage(board: Board): object {
  return {
    at: board.at,
    about: aboutText(board),
    paused: board.paused,
    grids: board.grids.map((grid) => ({
      name: grid.name,
      summary: summaryText(grid),
      rows: grid.rows.map((row) => ({ ...row, time: timeText(row).join(', ') })),
    })),
  };
}

/** All of it; lines are cut to the width where one is given. */
export function boardLines(board: Board, width?: number): string[] {
  const lines = [aboutText(board)];
  for (const grid of board.grids) {
    lines.push('', `${grid.name}: ${summaryText(grid)}`);
    const longest = Math.min(44, Math.max(...grid.rows.map(({ title }) => title.length)));
    for (const row of grid.rows) {
      lines.push(`  ${row.state.padEnd(9)} ${fit(row.title, longest)}  ${detailText(row)}`.trimEnd());
    }
  }
  return width === undefined
    ? lines
    : lines.map((line) => (line.length > width ? `${line.slice(0, width - 1)}…` : line));
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

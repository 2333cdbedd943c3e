// board.ts: `pupil board`: the grids of a queue live, in the terminal or as a page of this machine. It only looks.
import type { Command } from 'commander';
import { perform, type ExitCode, type VerbContext } from '../context';
import { BoardReader } from '../full/boardReader';
import { serveBoard } from '../full/boardServer';
import type { Board } from '../full/boardState';
import { boardLines, changeLines } from '../full/boardText';
import { withQueue, withQueueFlags, type QueueFlags } from '../full/queueVerb';
import { stopOnInterrupt } from '../interrupt';
import { integerIn } from '../options';
import type { Output } from '../output';

interface BoardFlags extends QueueFlags {
  port?: number;
  once?: boolean;
  json?: boolean;
}

const EVERY_MS = 1000;

export function registerBoard(program: Command, context: VerbContext): void {
  withQueueFlags(program.command('board').description('look at the grids of a queue, live'))
    .option('--once', 'say it once')
    .option('--port <n>', 'as a page on this machine under this port; 0: any free one', integerIn(0, 65535))
    .option('--json', 'one JSON object a line on stdout, whenever something has changed')
    .action((flags: BoardFlags) =>
      perform(context, flags.json === true, (output) =>
        withQueue(flags, output, undefined, (queue) => look(output, new BoardReader(queue), flags)),
      ),
    );
}

/** Until all tables are made, or it is asked to end. With a page: until it is asked. */
async function look(output: Output, reader: BoardReader, flags: BoardFlags): Promise<ExitCode> {
  let stop: () => void = () => undefined;
  let stopped = false;
  const asked = new Promise<void>((resolve) => (stop = resolve)).then(() => (stopped = true));
  const leaveSignals = stopOnInterrupt({ stop: () => Promise.resolve(stop()) }, output, 'leaving the queue as it is');
  const page = flags.port === undefined ? undefined : await serveBoard(flags.port);
  if (page !== undefined) output.result('board-page', { url: page.url }, () => `the board: ${page.url}`);
  let before: Board | undefined;
  try {
    for (;;) {
      const board = await reader.read();
      page?.show(board);
      if (page === undefined) tell(output, before, board, flags);
      before = board;
      const made =
        board.grids.length > 0 && board.grids.every(({ table }) => table === 'finished' || table === 'failed');
      if (flags.once === true || (made && page === undefined)) return 0;
      await Promise.race([asked, new Promise((resolve) => setTimeout(resolve, EVERY_MS))]);
      if (stopped) return 130;
    }
  } finally {
    leaveSignals();
    await page?.close();
  }
}

function tell(output: Output, before: Board | undefined, board: Board, flags: BoardFlags): void {
  if (flags.json === true) {
    const text = (one: Board | undefined): string => JSON.stringify({ ...one, at: '' });
    if (text(before) !== text(board)) output.result('board', { ...board }, () => '');
    return;
  }
  const { isTTY, columns: width, rows } = process.stdout;
  if (flags.once === true) output.write(`${boardLines(board).join('\n')}\n`);
  else if (isTTY) output.write(`\u001b[H\u001b[2J${boardLines(board, { width, height: rows - 1 }).join('\n')}\n`);
  else for (const line of changeLines(before, board)) output.write(`${line}\n`);
}

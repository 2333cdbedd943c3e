// boardServer.ts: the board as a page of this machine: one document, one script, one style sheet, and a stream of boards. It
// answers only requests that were meant for this machine, loads nothing from anywhere, and what jobs are called is text.
import type { IncomingMessage, ServerResponse } from 'node:http';
import { sendText, serve } from '../../../scripts/staticServer.mjs';
import script from './board/board.js?raw';
import style from './board/board.css?raw';
import page from './board/index.html?raw';
import type { Board } from './boardState';
import { boardForPage } from './boardText';

const POLICY =
  "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
const HEADERS = {
  'Content-Security-Policy': POLICY,
  'Cache-Control': 'no-store',
  'X-Content-Type-Options': 'nosniff',
  'Referrer-Policy': 'no-referrer',
};
const FILES: Readonly<Record<string, [type: string, text: string]>> = {
  '/': ['text/html; charset=utf-8', page],
  '/board.js': ['text/javascript; charset=utf-8', script],
  '/board.css': ['text/css; charset=utf-8', style],
};
/** A comment now and then, so that proxies and browsers keep the stream. */
const ALIVE_MS = 15_000;

export interface BoardPage {
  url: string;
  /** What the page shows from now on. */
  show(board: Board): void;
  close(): Promise<void>;
}

/** Serves the board on 127.0.0.1. */
export async function serveBoard(port: number): Promise<BoardPage> {
  const listeners = new Set<ServerResponse>();
  let shown = '';
  const handler = (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    // A page elsewhere may have a name that leads here: it must not read the board.
    if (!/^(localhost|127\.0\.0\.1)(:\d+)?$/.test(request.headers.host ?? '')) {
      sendText(response, 403, 'this machine only', HEADERS);
    } else if (request.method !== 'GET') sendText(response, 405, 'only GET', { ...HEADERS, Allow: 'GET' });
    else if (request.url === '/events') {
      response.writeHead(200, { ...HEADERS, 'Content-Type': 'text/event-stream; charset=utf-8' });
      response.write(shown === '' ? ':\n\n' : `data: ${shown}\n\n`);
      listeners.add(response);
      response.on('close', () => listeners.delete(response));
    } else {
      const [type, text] = FILES[request.url ?? ''] ?? [];
      if (text === undefined) sendText(response, 404, 'no such file', HEADERS);
      else response.writeHead(200, { ...HEADERS, 'Content-Type': type }).end(text);
    }
    return Promise.resolve();
  };
  const server = await serve(handler, { port });
  const alive = setInterval(() => {
    for (const response of listeners) response.write(':\n\n');
  }, ALIVE_MS);
  return {
    url: `http://127.0.0.1:${server.port}/`,
    show: (board) => {
      shown = JSON.stringify(boardForPage(board));
      for (const response of listeners) response.write(`data: ${shown}\n\n`);
    },
    close: async () => {
      clearInterval(alive);
      for (const response of listeners) response.end();
      await server.close();
    },
  };
}

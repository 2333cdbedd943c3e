#!/usr/bin/env node
// start.mjs: `npm start`: builds the page if needed and serves it on this machine. Nothing outside is asked for anything.
import path from 'node:path';
import { parseArgs } from 'node:util';
import { buildIfStale, ROOT } from './build.mjs';
import { folderHandler, serve } from './staticServer.mjs';

const DEFAULT_PORT = 4173;

try {
  const { values } = parseArgs({ options: { port: { type: 'string' }, help: { type: 'boolean', short: 'h' } } });
  if (values.help) {
    console.log(
      `npm start [-- --port N]   serves the playground on http://localhost:N (default ${DEFAULT_PORT}, or the next free port)`,
    );
    process.exit(0);
  }
  const port = Number(values.port ?? DEFAULT_PORT);
  if (!Number.isInteger(port) || port < 0 || port > 65535) {
    throw new Error(`--port: expected a whole number from 0 to 65535, got ${values.port}`);
  }
  buildIfStale('page');
  const server = await serve(folderHandler(path.join(ROOT, 'dist', 'page')), { port, attempts: 50 });
  const address = `http://localhost:${server.port}/`;
  console.log(`Pupil is served at ${address}`);
  console.log(`Open ${address}?start in Chrome or Edge: the lesson begins by itself. Ctrl+C ends it.`);
  for (const signal of /** @type {const} */ (['SIGINT', 'SIGTERM'])) {
    process.on(signal, () => void server.close().then(() => process.exit(0)));
  }
} catch (error) {
  console.error(`npm start: ${error instanceof Error ? error.message : String(error)}`);
  process.exit(1);
}

#!/usr/bin/env node
// pupil.mjs: `npm run pupil -- …` and the package's bin: builds the command line (and the page, where a browser will load
// it) if sources changed, then runs it in a process of its own with the right Vulkan driver. It parses no options beyond
// what decides about the page.
import { spawn } from 'node:child_process';
import { constants } from 'node:os';
import path from 'node:path';
import { buildIfStale, ROOT } from './build.mjs';
import { vulkanEnvironment } from './vulkan.mjs';

/** Verbs that touch no GPU, and what only prints help. */
const WITHOUT_HOST = new Set(['score', 'teach', 'judge', 'report', 'help']);

/** @param {string[]} args */
function needsPage(args) {
  if (args.length === 0 || args.some((arg) => ['--help', '-h', '--version', '-V'].includes(arg))) return false;
  if (WITHOUT_HOST.has(args[0] ?? '')) return false;
  if (args.includes('--plan') && !args.includes('--measure')) return false;
  return !args.some((arg, i) => arg === '--host=node' || (arg === '--host' && args[i + 1] === 'node'));
}

try {
  const args = process.argv.slice(2);
  buildIfStale('cli');
  const page = needsPage(args);
  if (page) buildIfStale('page');
  const env = { ...process.env, ...(page ? {} : vulkanEnvironment()) };
  const child = spawn(process.execPath, ['--enable-source-maps', path.join(ROOT, 'dist/cli/pupil.js'), ...args], {
    // The channel carries nothing: it breaks when this process is killed, and the child must not run on unseen.
    stdio: ['inherit', 'inherit', 'inherit', 'ipc'],
    env,
  });
  // A signal to this process alone must be passed on. A terminal's Ctrl+C then reaches the child twice; it knows that.
  for (const signal of /** @type {const} */ (['SIGINT', 'SIGTERM', 'SIGHUP'])) {
    process.on(signal, () => child.kill(signal));
  }
  child.on('error', (error) => {
    console.error(`pupil: ${error.message}`);
    process.exit(1);
  });
  child.on('exit', (code, signal) => process.exit(code ?? 128 + (signal === null ? 1 : constants.signals[signal])));
} catch (error) {
  console.error(`pupil: ${error instanceof Error ? error.message : String(error)}`);
  process.exit(1);
}

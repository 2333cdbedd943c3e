// build.mjs: builds the page or the command line when their sources are newer than the last build. It prints to stderr
// only, since stdout belongs to the command that follows.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

/** The project's folder. */
export const ROOT = fileURLToPath(new URL('..', import.meta.url));

const SHARED_SOURCES = ['src', 'shaders', 'scripts', 'package-lock.json', 'tsconfig.json'];

/** What can be built. `output` proves that a build is there; the stamp's time says of when its sources are. */
const TARGETS = {
  page: {
    title: 'page',
    config: 'vite.config.ts',
    sources: [
      ...SHARED_SOURCES,
      'public',
      'index.html',
      'vite.config.ts',
      'experiments',
      'chapters',
      'test/fixtures/lesson',
    ],
    output: 'dist/page/index.html',
    stamp: 'dist/page.stamp',
  },
  cli: {
    title: 'command line',
    config: 'vite.cli.config.ts',
    sources: [...SHARED_SOURCES, 'vite.cli.config.ts'],
    output: 'dist/cli/pupil.js',
    stamp: 'dist/cli.stamp',
  },
};

/**
 * Time of the newest file below; 0 where there is none. Folders count too: a deleted file changes its folder.
 * @param {string} file
 * @returns {number}
 */
function newest(file) {
  const stat = statSync(file, { throwIfNoEntry: false });
  if (stat === undefined) return 0;
  if (!stat.isDirectory()) return stat.mtimeMs;
  return readdirSync(file).reduce((time, name) => Math.max(time, newest(path.join(file, name))), stat.mtimeMs);
}

/** @param {keyof typeof TARGETS} name */
export function isStale(name) {
  const { sources, output, stamp } = TARGETS[name];
  const built = statSync(path.join(ROOT, stamp), { throwIfNoEntry: false })?.mtimeMs;
  if (built === undefined || !existsSync(path.join(ROOT, output))) return true;
  return sources.some((source) => newest(path.join(ROOT, source)) > built);
}

/**
 * Builds a target if it is stale. On failure prints what Vite said.
 * @param {keyof typeof TARGETS} name
 * @throws {Error} when the build failed.
 */
export function buildIfStale(name) {
  if (!isStale(name)) return;
  const { title, config, output, stamp } = TARGETS[name];
  const startedAt = new Date();
  process.stderr.write(`Building the ${title} … `);
  const vite = path.join(ROOT, 'node_modules', 'vite', 'bin', 'vite.js');
  const result = spawnSync(process.execPath, [vite, 'build', '--config', config, '--logLevel', 'warn'], {
    cwd: ROOT,
    encoding: 'utf8',
    // Not what a test runner says: its `test` would build a page for developing.
    env: { ...process.env, NODE_ENV: 'production' },
  });
  if (result.status !== 0 || !existsSync(path.join(ROOT, output))) {
    process.stderr.write(`failed\n${result.stdout ?? ''}${result.stderr ?? ''}\n`);
    throw new Error(`the ${title} could not be built`);
  }
  process.stderr.write(`${((Date.now() - startedAt.getTime()) / 1000).toFixed(1)} s\n`);
  const stampFile = path.join(ROOT, stamp);
  mkdirSync(path.dirname(stampFile), { recursive: true });
  // The stamp's CONTENT is for people; its time must be that of the start: a file edited meanwhile is newer.
  writeFileSync(stampFile, `${startedAt.toISOString()}\n`);
  utimesSync(stampFile, startedAt, startedAt);
}

// pageOffline.mjs: a Vite plugin that builds the service worker (src/worker/offline.sw.ts → offline.js beside the page) once
// the page is built, and gives it the list of files that the lesson needs without a network.
import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'vite';

const ROOT = fileURLToPath(new URL('..', import.meta.url));

/**
 * What is not fetched ahead: source maps, the runtime of a teacher in the browser (27 MB), the prototype's students, the
 * record of how the bundled student was pretrained. They are kept once they were asked for.
 */
const LATER = [
  /\.map$/,
  /^assets\/ort-/,
  /^assets\/transformers/,
  /^test\//,
  /pretraining\.json$/,
  /README\.md$/,
  /^offline\.js$/,
];

/** @param {string} name below the built page */
export const isFetchedAhead = (name) => !LATER.some((pattern) => pattern.test(name));

/**
 * The files to fetch ahead, with what tells a new version from an old one: nothing where Vite put that into the name.
 * @param {string} folder the built page
 * @returns {{ url: string, revision: string | null }[]}
 */
export function filesAhead(folder) {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => path.relative(folder, path.join(entry.parentPath, entry.name)).split(path.sep).join('/'))
    .filter(isFetchedAhead)
    .sort()
    .map((url) => ({
      url,
      revision: url.startsWith('assets/')
        ? null
        : createHash('sha256')
            .update(readFileSync(path.join(folder, url)))
            .digest('hex')
            .slice(0, 16),
    }));
}

/** @returns {import('vite').Plugin} */
export function pageOffline() {
  let outDir = '';
  return {
    name: 'pupil-page-offline',
    apply: 'build',
    configResolved(config) {
      outDir = path.resolve(config.root, config.build.outDir);
    },
    async closeBundle() {
      // Called after a build that failed as well: its own error is the one to be read.
      if (!existsSync(path.join(outDir, 'index.html'))) return;
      await build({
        configFile: false,
        root: ROOT,
        logLevel: 'warn',
        publicDir: false,
        define: {
          'process.env.NODE_ENV': '"production"', // Workbox logs otherwise
          __FILES_AHEAD__: JSON.stringify(filesAhead(outDir)),
        },
        build: {
          outDir,
          emptyOutDir: false,
          target: 'esnext',
          lib: {
            entry: path.join(ROOT, 'src/worker/offline.sw.ts'),
            formats: ['iife'],
            name: 'pupilOffline',
            fileName: () => 'offline.js',
          },
        },
      });
    },
  };
}

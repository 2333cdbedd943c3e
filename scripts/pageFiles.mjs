// pageFiles.mjs: a Vite plugin that puts the prototype's files (students, vocabulary, tasks) beside the built page, at
// the paths they have in the repository, so that its experiment runs offline. The development server serves them anyway.
import { readdirSync, readFileSync, statSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('..', import.meta.url));

/** Folders of files that the page's own experiments read, relative to the project. */
export const PAGE_FOLDERS = ['test/fixtures/lesson'];
/** Kept for tests only. */
const LEFT_OUT = new Set(['expected.json']);

/**
 * Files below a folder, relative to the project, with forward slashes.
 * @param {string} folder
 * @returns {string[]}
 */
function filesBelow(folder) {
  return readdirSync(path.join(ROOT, folder)).flatMap((name) => {
    const file = `${folder}/${name}`;
    if (statSync(path.join(ROOT, file)).isDirectory()) return filesBelow(file);
    return LEFT_OUT.has(name) ? [] : [file];
  });
}

/** @returns {import('vite').Plugin} */
export function pageFiles() {
  return {
    name: 'pupil-page-files',
    apply: 'build',
    generateBundle() {
      for (const folder of PAGE_FOLDERS) {
        for (const file of filesBelow(folder)) {
          this.emitFile({ type: 'asset', fileName: file, source: readFileSync(path.join(ROOT, file)) });
        }
      }
    },
  };
}

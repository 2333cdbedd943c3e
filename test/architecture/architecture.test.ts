// architecture.test.ts: holds the source tree against the house's rules (rules.ts), and the checker against files that
// break each of them.
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { read } from './imports';
import { checkAddresses, checkHouse, type SourceFile } from './rules';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));

function readTree(folder: string, pattern: RegExp): SourceFile[] {
  return readdirSync(path.join(ROOT, folder), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && pattern.test(entry.name))
    .map((entry) => path.join(entry.parentPath, entry.name))
    .filter((file) => !/[\\/](node_modules|dist)[\\/]/.test(file))
    .map((file) => ({ path: path.relative(ROOT, file).split(path.sep).join('/'), text: readFileSync(file, 'utf8') }));
}

const asText = (found: ReturnType<typeof checkHouse>): string[] =>
  found.map((v) => `${v.rule}: ${v.path}: ${v.detail}`);

describe('the source tree', () => {
  const tree = readTree('src', /\.(ts|tsx|mts|js|mjs|svelte)$/);

  it('is read', () => {
    expect(tree.length).toBeGreaterThan(10);
    expect(tree.map((file) => file.path)).toContain('src/base/errors.ts');
  });

  it('keeps the rules of the house', () => {
    expect(asText(checkHouse([...tree, ...readTree('shaders', /./)]))).toEqual([]);
  });

  it('names no folder of one machine and no package registry', () => {
    const folders = ['src', 'shaders', 'test', 'scripts', 'bench', 'docs', 'experiments'];
    const files = folders.flatMap((folder) => readTree(folder, /\.(ts|mjs|js|svelte|wgsl|json|md|html)$/));
    const top = readdirSync(ROOT)
      .filter((name) => /\.(ts|js|md|html)$/.test(name) || name === 'package.json')
      .map((name) => ({ path: name, text: readFileSync(path.join(ROOT, name), 'utf8') }));
    expect(asText(checkAddresses([...files, ...top]))).toEqual([]);
  });

  it('opens every file with a comment that says what it is', () => {
    const bare = tree.filter(({ path: name, text }) =>
      name.endsWith('.svelte') ? !/^\s*<!--/.test(text) : !/^(#![^\n]*\n)?\s*(\/\/|\/\*)/.test(text),
    );
    expect(bare.map((file) => file.path)).toEqual([]);
  });
});

/** The rules that a small made-up tree breaks. */
function broken(files: Record<string, string>): string[] {
  const list = Object.entries(files).map(([name, text]) => ({ path: name, text }));
  return checkHouse(list).map((violation) => `${violation.rule} ${violation.path}`);
}

describe('the checker finds', () => {
  it('nothing in a tree that keeps the rules', () => {
    expect(
      broken({
        'src/base/errors.ts': 'export class E {}',
        'src/gpu/device.ts': `import { E } from '../base/errors';\nconst gpu = navigator.gpu;`,
        'src/kernels/linear.ts': `import code from '../../shaders/linear/linear_forward.wgsl?raw';\nimport type { D } from '../gpu/device';`,
        'src/storage/runs.ts': `import { get } from 'idb-keyval';\nindexedDB.open('runs');`,
        'src/session/protocol.ts': `import type { E } from '../base/errors';`,
        'src/worker/session.worker.ts': `import { expose } from 'comlink';\nimport { s } from '../session/protocol';`,
        'src/app/client.ts': `import { wrap } from 'comlink';\nnew Worker(new URL('../worker/session.worker.ts', import.meta.url));`,
        'src/app/App.svelte': `<script lang="ts">import type { S } from '../session/protocol';</script>`,
        'src/cli/nodeHost.ts': `import { s } from '../session/session';\nimport { nodeGpu } from '../gpu/node';`,
        'src/cli/browser.ts': `import { find } from '../../scripts/browser.mjs';`,
      }),
    ).toEqual([]);
  });

  it.each([
    [
      'an import from a higher floor',
      'floors src/base/a.ts',
      { 'src/base/a.ts': `import { x } from '../gpu/device';` },
    ],
    [
      'a type import from a higher floor',
      'floors src/gpu/a.ts',
      { 'src/gpu/a.ts': `import type { X } from '../model/x';` },
    ],
    ['a dynamic import from a higher floor', 'floors src/gpu/a.ts', { 'src/gpu/a.ts': `await import('../model/x');` }],
    ['an import type in an annotation', 'floors src/gpu/a.ts', { 'src/gpu/a.ts': `let a: import('../model/x').X;` }],
    [
      'a re-export from a higher floor',
      'floors src/gpu/a.ts',
      { 'src/gpu/a.ts': `export type { X } from '../model/x';\nexport const y = 1;` },
    ],
    ['a multi-line import', 'floors src/gpu/a.ts', { 'src/gpu/a.ts': `import {\n  a,\n  b,\n} from '../model/x';` }],
    ['an import for its effect', 'floors src/gpu/a.ts', { 'src/gpu/a.ts': `import '../model/x';` }],
    [
      'a worker named from below',
      'floors src/session/a.ts',
      { 'src/session/a.ts': `new URL('../worker/w.ts', import.meta.url)` },
    ],
    ['a neighbour', 'neighbours src/tasks/a.ts', { 'src/tasks/a.ts': `import { x } from '../storage/runs';` }],
    ['app knowing cli', 'neighbours src/app/a.ts', { 'src/app/a.ts': `import { x } from '../cli/browser';` }],
    ['a folder on no floor', 'floors src/utils/a.ts', { 'src/utils/a.ts': '' }],
    ['a file outside all folders', 'floors src/main.ts', { 'src/main.ts': '' }],
    [
      'the page knowing kernels',
      'top floor src/app/A.svelte',
      { 'src/app/A.svelte': `<script>import { x } from '../kernels/linear';</script>` },
    ],
    [
      'the command line knowing the session itself',
      'top floor src/cli/run.ts',
      { 'src/cli/run.ts': `import { s } from '../session/session';` },
    ],
    [
      'scripts in the page',
      'floors src/app/a.ts',
      { 'src/app/a.ts': `import { x } from '../../scripts/browser.mjs';` },
    ],
    [
      'tests in the source',
      'floors src/gpu/a.ts',
      { 'src/gpu/a.ts': `import { x } from '../../test/kernels/device';` },
    ],
    [
      'a shader outside kernels',
      'wgsl src/model/a.ts',
      { 'src/model/a.ts': `import s from '../../shaders/a.wgsl?raw';` },
    ],
    ['navigator.gpu outside gpu', 'gpu src/session/a.ts', { 'src/session/a.ts': 'const g = navigator.gpu;' }],
    [
      'navigator?.gpu behind a cast',
      'gpu src/app/a.ts',
      { 'src/app/a.ts': 'const g = (navigator as Navigator | undefined)?.gpu;' },
    ],
    ['IndexedDB outside storage', 'storage src/recipes/a.ts', { 'src/recipes/a.ts': `indexedDB.open('x');` }],
    [
      'OPFS outside storage',
      'storage src/sources/a.ts',
      { 'src/sources/a.ts': 'await navigator.storage.getDirectory();' },
    ],
    [
      'idb-keyval outside storage',
      'storage src/session/a.ts',
      { 'src/session/a.ts': `import { get } from 'idb-keyval';` },
    ],
    ['Comlink in the session', 'comlink src/session/a.ts', { 'src/session/a.ts': `import { expose } from 'comlink';` }],
    ['Comlink in the command line', 'comlink src/cli/a.ts', { 'src/cli/a.ts': `import { wrap } from 'comlink';` }],
    [
      'a barrel',
      'barrels src/optim/index.ts',
      { 'src/optim/index.ts': `// all\nexport * from './adamw';\nexport type { X } from './x';` },
    ],
    ['a barrel of another name', 'barrels src/optim/all.ts', { 'src/optim/all.ts': `export * from './adamw';` }],
    [
      'a barrel that imports first',
      'barrels src/optim/index.ts',
      { 'src/optim/index.ts': `import { a } from './adamw';\nexport { a };` },
    ],
    [
      'a worker knowing the page',
      'floors src/worker/w.ts',
      { 'src/worker/w.ts': `import type { Playground } from '../app/state/playground.svelte';` },
    ],
    [
      'the page knowing the report, by type',
      'top floor src/app/A.svelte',
      { 'src/app/A.svelte': `<script lang="ts">import type { R } from '../report/types';</script>` },
    ],
    [
      'markup that imports the engine',
      'top floor src/app/A.svelte',
      { 'src/app/A.svelte': `<p>x</p>\n{#await import('../model/student') then m}{m}{/await}` },
    ],
    [
      'a folder of modules by pattern',
      'floors src/gpu/a.ts',
      { 'src/gpu/a.ts': `const all = import.meta.glob('../model/*.ts');` },
    ],
    [
      'shaders by pattern',
      'wgsl src/model/a.ts',
      { 'src/model/a.ts': `import.meta.glob('../../shaders/**/*.wgsl', { query: '?raw' });` },
    ],
    [
      'shaders by address',
      'wgsl src/model/a.ts',
      { 'src/model/a.ts': `new URL('../../shaders/a.wgsl', import.meta.url)` },
    ],
    ['an import from the root', 'floors src/base/a.ts', { 'src/base/a.ts': `import { x } from '/src/gpu/device';` }],
    ['an import by alias', 'floors src/base/a.ts', { 'src/base/a.ts': `import { x } from 'src/gpu/device';` }],
    ['an import of a path in a variable', 'computed src/gpu/a.ts', { 'src/gpu/a.ts': 'await import(where);' }],
    ['an import of a path put together', 'computed src/gpu/a.ts', { 'src/gpu/a.ts': 'await import(`../${x}`);' }],
    ['script files that are no TypeScript', 'floors src/base/a.mjs', { 'src/base/a.mjs': `import '../gpu/device';` }],
    ['gpu taken out of navigator', 'gpu src/model/a.ts', { 'src/model/a.ts': 'const { gpu } = navigator;' }],
    ['gpu by another name', 'gpu src/model/a.ts', { 'src/model/a.ts': 'const { gpu: g } = globalThis.navigator;' }],
    ['gpu in brackets', 'gpu src/model/a.ts', { 'src/model/a.ts': `const g = navigator['gpu'];` }],
    ['gpu in markup', 'gpu src/app/A.svelte', { 'src/app/A.svelte': '{#if navigator.gpu === undefined}no{/if}' }],
    [
      'OPFS out of a destructured navigator',
      'storage src/sources/a.ts',
      { 'src/sources/a.ts': 'const { storage } = navigator;\nawait storage.getDirectory();' },
    ],
    ['IndexedDB in brackets', 'storage src/app/a.ts', { 'src/app/a.ts': `self['indexedDB'].open('x');` }],
    ['IndexedDB’s own types', 'storage src/app/a.ts', { 'src/app/a.ts': 'let db: IDBDatabase;' }],
    ['Comlink’s inner files', 'comlink src/cli/a.ts', { 'src/cli/a.ts': `import 'comlink/dist/esm/comlink';` }],
    ['other files among the shaders', 'shaders shaders/a.ts', { 'shaders/a.ts': '' }],
    [
      'a circle through .js names',
      'circles src/base/a.ts',
      { 'src/base/a.ts': `import './b.js';`, 'src/base/b.ts': `import './a.js';` },
    ],
    [
      'a circle of type imports',
      'circles src/base/a.ts',
      {
        'src/base/a.ts': `import type { B } from './b';`,
        'src/base/b.ts': `import { C } from './c';`,
        'src/base/c.ts': `import type { A } from './a';`,
      },
    ],
  ] as [string, string, Record<string, string>][])('%s', (_, expected, files) => {
    expect(broken(files)).toEqual([expected]);
  });

  it('nothing in comments and texts, and everything behind them', () => {
    expect(
      broken({ 'src/base/a.ts': `// import { x } from '../gpu/device';\n/* navigator.gpu */ const a = 1;` }),
    ).toEqual([]);
    expect(broken({ 'src/base/a.ts': `/* x */ import { x } from '../gpu/device';` })).toEqual(['floors src/base/a.ts']);
    expect(broken({ 'src/base/a.ts': `const hint = 'navigator.gpu is missing; indexedDB too';` })).toEqual([]);
    expect(broken({ 'src/base/a.ts': `const r = /[/*]/; import { x } from '../gpu/device'; /* */` })).toEqual([
      'floors src/base/a.ts',
    ]);
  });

  it('all kinds of imports', () => {
    const text = `import a, { b } from 'one';\nimport * as c from "two";\nexport { d } from 'three';\nexport * from 'four';
      import 'five';\nconst f = await import('six');\nimport type G from 'seven';\nlet h: import('eight').H;
      const i = import.meta.glob(['nine/*', 'ten/*']);\nconst j = require('eleven');\nimport k = require('twelve');
      new URL('./thirteen', import.meta.url);\nawait import(\`fourteen\`);`;
    const numbers = 'one two three four five six seven eight nine/* ten/* eleven twelve ./thirteen fourteen';
    expect(read('a.ts', text).imports).toEqual(numbers.split(' '));
  });

  it('folders of one machine, and package registries', () => {
    const found = (text: string): number => checkAddresses([{ path: 'x', text }]).length;
    expect(found(`const a = '/${'work'}/main/x';`)).toBe(1);
    expect(found(`see ..${'/shared'}/data`)).toBe(1);
    expect(found(`https://registry.${'npmjs'}.org/x`)).toBe(1);
    expect(found(`the frame/${'work'}/x, '../sharedness', a 'network/'`)).toBe(0);
  });
});

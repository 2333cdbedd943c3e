// rules.ts: the rules of the house as a checker over a list of files: floors, neighbours, circles, and who may name what.
// It is given texts, so that the tests can show it files that break each rule. How a file is read is in imports.ts.
import { read, type Reading } from './imports';

export interface SourceFile {
  /** From the project's root, with slashes: `src/kernels/linear.ts`. */
  path: string;
  text: string;
}

export interface Violation {
  rule: string;
  path: string;
  detail: string;
}

/** Floors from the ground up. A folder imports from lower floors or from itself. */
export const FLOORS: readonly (readonly string[])[] = [
  ['base'],
  ['config', 'reference', 'gpu', 'formats'],
  ['kernels', 'text', 'sources', 'storage', 'tasks', 'teachers'],
  ['model', 'optim', 'selfcheck'],
  ['recipes', 'report'],
  ['session'],
  ['worker'],
  ['app', 'cli'],
];

const FLOOR_OF = new Map(FLOORS.flatMap((folders, floor) => folders.map((folder) => [folder, floor] as const)));

/** What app and cli may know besides themselves, and the one file of each that may know more. */
const TOP_MAY_KNOW = /^src\/(base|config)\/|^src\/session\/protocol(\.ts)?$/;
const TOP_EXCEPTIONS = new Set(['src/app/client.ts', 'src/cli/nodeHost.ts']);

/** An import as a path from the root, without its query; undefined for a package. `/src/…` counts from the root. */
export function resolveImport(from: string, specifier: string): string | undefined {
  if (!/^[./]/.test(specifier)) return undefined;
  const parts = specifier.startsWith('/') ? [] : from.split('/').slice(0, -1);
  for (const part of (specifier.split('?')[0] ?? '').split('/')) {
    if (part === '..') parts.pop();
    else if (part !== '.' && part !== '') parts.push(part);
  }
  return parts.join('/');
}

const folderOf = (path: string): string => /^src\/([^/]+)\//.exec(path)?.[1] ?? '';

/** All breaches of the house's rules, in the order of files. */
export function checkHouse(files: readonly SourceFile[]): Violation[] {
  const sources = files
    .filter((file) => file.path.startsWith('src/'))
    .map((file) => ({ path: file.path, reading: read(file.path, file.text) }));
  const shaders = files.filter((file) => file.path.startsWith('shaders/') && !file.path.endsWith('.wgsl'));
  return [
    ...sources.flatMap(checkFile),
    ...shaders.map(({ path }) => ({ rule: 'shaders', path, detail: 'shaders/ holds .wgsl only' })),
    ...findCircles(sources),
  ];
}

interface ReadFile {
  path: string;
  reading: Reading;
}

function checkFile({ path, reading }: ReadFile): Violation[] {
  const found: Violation[] = [];
  const report = (rule: string, detail: string): void => void found.push({ rule, path, detail });
  const folder = folderOf(path);
  const floor = FLOOR_OF.get(folder);
  if (floor === undefined) report('floors', `the folder ${folder || '(none)'} is on no floor`);

  for (const text of reading.computed) {
    // The one place that hides Node's modules from the page's bundler; what it loads is in the same file.
    if (path !== 'src/sources/disk.ts') report('computed', `imports what only shows at run time: ${text}`);
  }
  for (const specifier of reading.imports) {
    const target = resolveImport(path, specifier);
    if (/\.wgsl(\?|$)/.test(specifier) && folder !== 'kernels') report('wgsl', `imports ${specifier}`);
    if (/^comlink(\/|$)/.test(specifier) && folder !== 'worker' && path !== 'src/app/client.ts') {
      report('comlink', `imports ${specifier}`);
    }
    if (/^idb-keyval/.test(specifier) && folder !== 'storage') report('storage', `imports ${specifier}`);
    if (/^(src|@|~|shaders)\//.test(specifier)) report('floors', `imports ${specifier}: write the relative path`);
    if (target === undefined) continue;
    const targetFolder = folderOf(target);
    const targetFloor = FLOOR_OF.get(targetFolder);
    if (targetFolder === '') {
      // shaders (checked above), scripts shared with the command line, the experiment files and chapters that the page offers
      const allowed =
        target.startsWith('shaders/') ||
        (folder === 'cli' && target.startsWith('scripts/')) ||
        (folder === 'app' && /^(experiments|chapters)\/[^/]+\.json$/.test(target));
      if (!allowed) report('floors', `imports ${specifier} from outside src`);
    } else if (targetFolder === folder) {
      continue;
    } else if (targetFloor === undefined) {
      report('floors', `imports ${specifier}, whose folder is on no floor`);
    } else if (floor !== undefined && targetFloor > floor) {
      report('floors', `${folder} (floor ${floor}) imports ${specifier} (floor ${targetFloor})`);
    } else if (targetFloor === floor) {
      report('neighbours', `${folder} imports ${specifier}: folders of one floor do not know each other`);
    } else if ((folder === 'app' || folder === 'cli') && !TOP_MAY_KNOW.test(target) && !TOP_EXCEPTIONS.has(path)) {
      report('top floor', `${folder} imports ${specifier}: it knows session/protocol, config and base only`);
    }
  }

  if (reading.barrel) report('barrels', 'only re-exports');
  if (folder !== 'gpu' && reading.guarded.includes('gpu')) report('gpu', 'names navigator.gpu');
  if (folder !== 'storage' && reading.guarded.includes('storage')) report('storage', 'names IndexedDB or OPFS');
  return found;
}

/** Circles among files, type imports included; each is reported once, at its first file by name. */
function findCircles(files: readonly ReadFile[]): Violation[] {
  const known = new Map(files.map((file) => [file.path, file]));
  const find = (target: string): string | undefined => {
    const stem = target.replace(/\.js$/, '');
    return [target, `${stem}.ts`, `${stem}.svelte.ts`, `${target}/index.ts`].find((path) => known.has(path));
  };
  const edges = new Map<string, string[]>();
  for (const { path, reading } of files) {
    const targets = reading.imports
      .map((specifier) => resolveImport(path, specifier))
      .map((target) => (target === undefined ? undefined : find(target)))
      .filter((target) => target !== undefined && target !== path);
    edges.set(path, targets as string[]);
  }
  const state = new Map<string, 'open' | 'done'>();
  const circles: Violation[] = [];
  const walk = (path: string, trail: readonly string[]): void => {
    if (state.get(path) === 'done') return;
    if (state.get(path) === 'open') {
      const circle = [...trail.slice(trail.indexOf(path)), path];
      circles.push({ rule: 'circles', path, detail: circle.join(' → ') });
      return;
    }
    state.set(path, 'open');
    for (const next of edges.get(path) ?? []) walk(next, [...trail, path]);
    state.set(path, 'done');
  };
  for (const path of [...known.keys()].sort()) walk(path, []);
  return circles;
}

/** Addresses that must not be written into the repository: folders of one machine, and hosts that packages come from. */
export function checkAddresses(files: readonly SourceFile[]): Violation[] {
  // Written in pieces, so that this file does not break its own rule.
  const forbidden: readonly [RegExp, string][] = [
    [new RegExp(String.raw`(^|[\s'"\x60(=:])/` + String.raw`work/`, 'm'), 'a folder of one machine'],
    [new RegExp(String.raw`\.\./` + 'shared/'), 'a folder beside the project'],
    [
      new RegExp(['registry[.]npm' + 'js', 'registry[.]yarn' + 'pkg', 'npm' + 'mirror', 'arti' + 'factory'].join('|')),
      'a package registry',
    ],
  ];
  return files.flatMap((file) =>
    forbidden
      .filter(([pattern]) => pattern.test(file.text))
      .map(([, what]) => ({ rule: 'addresses', path: file.path, detail: `names ${what}` })),
  );
}

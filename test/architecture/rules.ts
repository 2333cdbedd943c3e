// rules.ts: the rules of the house as a checker over a list of files: floors, neighbours, circles, and who may name what.
// It is given texts, so that the tests can show it files that break each rule. It parses no TypeScript: imports are found by
// pattern, which is enough for formatted code and is itself tested.

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

/** Blanks out comments, keeping strings: imports may be commented, and comments may name what code may not. */
export function withoutComments(text: string): string {
  const token = /\/\*[\s\S]*?\*\/|(?<!:)\/\/[^\n]*|<!--[\s\S]*?-->|'(?:\\.|[^'\\\n])*'|"(?:\\.|[^"\\\n])*"/g;
  return text.replace(token, (found) => (/^(\/\*|\/\/|<!--)/.test(found) ? found.replace(/[^\n]/g, ' ') : found));
}

/** Everything a file imports: static, dynamic, type and re-exported imports, and `new URL('…', import.meta.url)`. */
export function importsOf(text: string): string[] {
  const code = withoutComments(text);
  const patterns = [
    /\b(?:import|export)\s+(?:type\s+)?[\w$*{][^;'"]*?\bfrom\s*['"]([^'"]+)['"]/g,
    /\bimport\s*['"]([^'"]+)['"]/g,
    /\bimport\s*\(\s*['"`]([^'"`]+)['"`]/g,
    /\bnew\s+URL\(\s*['"]([^'"]+)['"]\s*,\s*import\.meta\.url/g,
  ];
  return patterns.flatMap((pattern) => [...code.matchAll(pattern)].map((match) => match[1] ?? ''));
}

/** A relative import as a path from the root, without its query; undefined for a package. */
export function resolveImport(from: string, specifier: string): string | undefined {
  if (!specifier.startsWith('.')) return undefined;
  const parts = from.split('/').slice(0, -1);
  for (const part of (specifier.split('?')[0] ?? '').split('/')) {
    if (part === '..') parts.pop();
    else if (part !== '.') parts.push(part);
  }
  return parts.join('/');
}

const folderOf = (path: string): string => /^src\/([^/]+)\//.exec(path)?.[1] ?? '';

/** All breaches of the house's rules, in the order of files. */
export function checkHouse(files: readonly SourceFile[]): Violation[] {
  const sources = files.filter((file) => file.path.startsWith('src/'));
  return [...sources.flatMap(checkFile), ...findCircles(sources)];
}

function checkFile(file: SourceFile): Violation[] {
  const { path, text } = file;
  const found: Violation[] = [];
  const report = (rule: string, detail: string): void => void found.push({ rule, path, detail });
  const folder = folderOf(path);
  const floor = FLOOR_OF.get(folder);
  if (floor === undefined) report('floors', `the folder ${folder || '(none)'} is on no floor`);
  const code = withoutComments(text);

  for (const specifier of importsOf(text)) {
    const target = resolveImport(path, specifier);
    if (/\.wgsl(\?|$)/.test(specifier) && folder !== 'kernels') report('wgsl', `imports ${specifier}`);
    if (specifier === 'comlink' && folder !== 'worker' && path !== 'src/app/client.ts')
      report('comlink', 'imports comlink');
    if (/^idb-keyval/.test(specifier) && folder !== 'storage') report('storage', `imports ${specifier}`);
    if (target === undefined) continue;
    const targetFolder = folderOf(target);
    const targetFloor = FLOOR_OF.get(targetFolder);
    if (targetFolder === '') {
      // shaders (checked above), scripts shared with the command line, the package's own files
      const allowed = target.startsWith('shaders/') || (folder === 'cli' && target.startsWith('scripts/'));
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

  if (/(^|\/)index\.ts$/.test(path) && isBarrel(code)) report('barrels', 'only re-exports');
  if (folder !== 'gpu' && /\bnavigator\b[^;\n]{0,40}[.?]\s*gpu\b/.test(code)) report('gpu', 'names navigator.gpu');
  if (
    folder !== 'storage' &&
    /\bindexedDB\b|\bnavigator\.storage\.getDirectory\b|\bcreateSyncAccessHandle\b/.test(code)
  ) {
    report('storage', 'names IndexedDB or OPFS');
  }
  return found;
}

function isBarrel(code: string): boolean {
  const rest = code.replace(/export\s+(?:type\s+)?(?:\*(?:\s+as\s+\w+)?|\{[^}]*\})\s*from\s*['"][^'"]+['"];?/g, '');
  return rest.trim() === '' && /\bexport\b/.test(code);
}

/** Circles among files, type imports included; each is reported once, at its first file by name. */
function findCircles(files: readonly SourceFile[]): Violation[] {
  const known = new Map(files.map((file) => [file.path, file]));
  const find = (target: string): string | undefined =>
    [target, `${target}.ts`, `${target}.svelte.ts`, `${target}/index.ts`].find((path) => known.has(path));
  const edges = new Map<string, string[]>();
  for (const file of files) {
    const targets = importsOf(file.text)
      // A worker named by URL runs on its own: that is no circle of modules.
      .map((specifier) => resolveImport(file.path, specifier))
      .map((target) => (target === undefined ? undefined : find(target)))
      .filter((target) => target !== undefined && target !== file.path);
    edges.set(file.path, targets as string[]);
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

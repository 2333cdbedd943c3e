// documents.test.ts: what README, ARCHITECTURE, GLOSSARY and the notes point to is there: files, symbols in them, folders,
// npm scripts, flags of the command line, experiments, variables of the environment. It cannot judge whether sentences are
// true.
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { buildProgram } from '../../src/cli/program';
import { PRESET_NAMES } from '../../src/config/presets';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const read = (file: string): string => readFileSync(path.join(ROOT, file), 'utf8');

const below = (folder: string): string[] =>
  readdirSync(path.join(ROOT, folder), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.md'))
    .map((name) => `${folder}/${name}`);
const DOCUMENTS = ['README.md', 'ARCHITECTURE.md', 'GLOSSARY.md', 'CHANGELOG.md', ...below('docs'), ...below('bench')];

/** Texts in backticks, code blocks line by line. */
function quoted(text: string): string[] {
  const blocks = [...text.matchAll(/^```[^\n]*\n([\s\S]*?)^```/gm)].flatMap((match) => match[1]!.split('\n'));
  const spans = [...text.replace(/^```[\s\S]*?^```/gm, '').matchAll(/`([^`\n]+)`/g)].map((match) => match[1]!);
  return [...blocks, ...spans];
}

const exists = (name: string, from: string): boolean =>
  [ROOT, path.join(ROOT, 'src'), path.join(ROOT, path.dirname(from))].some((base) => existsSync(path.join(base, name)));

describe.each(DOCUMENTS)('%s', (document) => {
  const text = read(document);
  const spans = quoted(text);

  it('names files and folders that are there', () => {
    const named = spans
      .map((span) => span.split(/[:\s]/, 1)[0]!)
      .filter((span) => /^[\w.-]+(\/[\w.-]*)+$/.test(span) && !/^(\d|dev\/|runs\/|adapters\/)/.test(span))
      .filter((span) => /\.(ts|mjs|wgsl|md|json|svelte|html)$|\/$/.test(span) || /^(src|test|bench|docs)\//.test(span));
    const links = [...text.matchAll(/\]\(([^)#]+)\)/g)].map((match) => match[1]!).filter((link) => !/^\w+:/.test(link));
    expect([...named, ...links].filter((name) => !exists(name, document))).toEqual([]);
  });

  it('names symbols that are in their files', () => {
    const missing = spans.flatMap((span) => {
      const [, file, symbol] = /^([\w/.-]+\.ts): ([A-Za-z]\w*)/.exec(span) ?? [];
      if (file === undefined || symbol === undefined) return [];
      const at = ['', 'src/'].map((base) => base + file).find((one) => existsSync(path.join(ROOT, one)));
      return at !== undefined && new RegExp(`\\b${symbol}\\b`).test(read(at)) ? [] : [span];
    });
    expect(missing).toEqual([]);
  });

  it('gives commands that exist', () => {
    const { scripts } = JSON.parse(read('package.json')) as { scripts: Record<string, string> };
    const silent = { write: () => true } as unknown as NodeJS.WritableStream;
    const verbs = buildProgram({} as never, { out: silent, err: silent }).commands;
    const wrong = spans
      .flatMap((span) => span.split('&&'))
      .flatMap((command): string[] => {
        const words = command.replace(/#.*/, '').trim().split(/\s+/);
        const script = words[0] === 'npm' ? (words[1] === 'run' ? words[2] : words[1]) : undefined;
        if (script === undefined || script === 'ci' || script === 'install') return [];
        if (!Object.hasOwn(scripts, script)) return [`npm script ${script}`];
        if (script !== 'pupil') return [];
        const [verb, ...rest] = words.slice(words.indexOf('--') + 1);
        if (verb === undefined || verb === '…' || verb === '--help') return [];
        const found = verbs.find((one) => one.name() === verb);
        if (found === undefined) return [`verb ${verb}`];
        const flags = rest.filter((word) => word.startsWith('--') && word !== '--help');
        const unknown = flags.filter((flag) => !found.options.some((option) => option.long === flag));
        const experiment = verb === 'run' || verb === 'eval' ? rest[0] : undefined;
        const known =
          experiment === undefined ||
          (PRESET_NAMES as string[]).includes(experiment) ||
          existsSync(path.join(ROOT, experiment)) ||
          ['experiments', 'experiments/series'].some((folder) =>
            existsSync(path.join(ROOT, folder, `${experiment}.json`)),
          );
        return [...unknown.map((flag) => `${verb} ${flag}`), ...(known ? [] : [`experiment ${experiment}`])];
      });
    expect(wrong).toEqual([]);
  });
});

it('README names every variable of the environment that the project reads, and no other', () => {
  const folders = ['src', 'scripts', 'test', 'bench'];
  const used = new Set(
    folders
      .flatMap((folder) =>
        readdirSync(path.join(ROOT, folder), { recursive: true, encoding: 'utf8' })
          .filter((name) => /\.(ts|mjs)$/.test(name))
          .map((name) => `${folder}/${name}`),
      )
      .concat('vitest.config.ts')
      .flatMap((file) => [...read(file).matchAll(/env(?:\.|\[')(PUPIL_\w+)/g)].map((match) => match[1]!)),
  );
  // Set by scripts/test.mjs for the processes that it starts, and by tests for theirs.
  for (const inner of ['PUPIL_TEST_LONG', 'PUPIL_TEST_LAVAPIPE', 'PUPIL_PAGE']) used.delete(inner);
  const named = new Set([...read('README.md').matchAll(/`(PUPIL_[A-Z_\d]+)/g)].map((match) => match[1]!));
  expect([...named].sort()).toEqual([...used].sort());
});

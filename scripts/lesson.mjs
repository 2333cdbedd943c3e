#!/usr/bin/env node
// lesson.mjs: writes what the lesson's generators make: the tokenizer's files, tasks and demonstrations, documents of the
// corpus, its statistics. For people who want to read them or use them elsewhere; Pupil itself generates them as it runs.
import { createWriteStream, mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { once } from 'node:events';
import { parseArgs } from 'node:util';
import { runnerImport } from 'vite';
import { ROOT } from './build.mjs';

const USAGE = `node scripts/lesson.mjs WHAT [options]
  tokenizer --out DIR [--context N]      tokenizer.json, tokenizer_config.json, special_tokens_map.json, generation_config.json
  items PATH [--out FILE]                rows of a lesson file, such as "lesson:kinds/train?count=400&teacher=in-family"
  corpus --tokens N [--seed N] [--from N] [--out FILE]   documents as JSON lines {"kind", "text"}, from one number on
  statistics --tokens N [--seed N]       shares, lengths and vocabulary of the corpus as JSON`;

/** A module of the source tree. @param {string} file */
async function load(file) {
  const { module } = await runnerImport(path.join(ROOT, 'src', file), {
    configFile: false,
    root: ROOT,
    logLevel: 'error',
  });
  return /** @type {any} */ (module);
}

/** @param {string} message @returns {never} */
function refuse(message) {
  console.error(`${message}\n\n${USAGE}`);
  process.exit(2);
}

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    out: { type: 'string' },
    tokens: { type: 'string' },
    seed: { type: 'string', default: '0' },
    from: { type: 'string', default: '0' },
    context: { type: 'string', default: '192' },
  },
});

/** A whole number ≥ 0 of the command line. @param {string} name @param {string | undefined} text */
function whole(name, text) {
  const value = Number(text);
  if (text === undefined || text === '' || !Number.isInteger(value) || value < 0) {
    refuse(`lesson: --${name} must be a whole number, got ${text ?? 'nothing'}`);
  }
  return value;
}

/** Documents until so many tokens are full. */
async function* documents() {
  const { LessonCorpus, tokenCount } = await load('tasks/lesson/corpus.ts');
  const wanted = whole('tokens', values.tokens);
  const corpus = new LessonCorpus(whole('seed', values.seed));
  for (let tokens = 0, i = whole('from', values.from); tokens < wanted; i++) {
    const document = corpus.document(i);
    tokens += tokenCount(document.text);
    yield document;
  }
}

/** @param {AsyncIterable<string> | Iterable<string>} lines */
async function write(lines) {
  const file = values.out === undefined ? undefined : createWriteStream(values.out);
  const out = file ?? process.stdout;
  for await (const line of lines) if (!out.write(line)) await once(out, 'drain');
  if (file !== undefined) await once(file.end(), 'finish');
}

process.on('uncaughtException', (error) => {
  console.error(`lesson: ${error.message}`);
  process.exit(1);
});

const [what, item] = positionals;
switch (what) {
  case 'tokenizer': {
    const folder = values.out ?? refuse('lesson: tokenizer needs --out DIR');
    const { lessonTokenizerFiles } = await load('tasks/lesson/tokenizerFiles.ts');
    mkdirSync(folder, { recursive: true });
    for (const [name, content] of Object.entries(lessonTokenizerFiles(whole('context', values.context)))) {
      writeFileSync(path.join(folder, name), `${JSON.stringify(content, null, 1)}\n`);
    }
    break;
  }
  case 'items': {
    if (item === undefined) refuse('lesson: items needs a path');
    const { lessonFileText } = await load('session/lessonFiles.ts');
    await write([lessonFileText(item)]);
    break;
  }
  case 'corpus':
    await write(
      (async function* () {
        for await (const { kind, text } of documents()) yield `${JSON.stringify({ kind, text })}\n`;
      })(),
    );
    break;
  case 'statistics': {
    const { corpusStatistics } = await load('tasks/lesson/corpusStatistics.ts');
    const list = [];
    for await (const document of documents()) list.push(document);
    console.log(JSON.stringify(corpusStatistics(list), null, 1));
    break;
  }
  default:
    refuse(what === undefined ? 'lesson: nothing to write' : `lesson: unknown word "${what}"`);
}

// vocabulary.ts: the tokens of the lesson's student, by id. The list is made from the world's words and the words that
// the corpus, the prompts and the teachers say about it: every one of them occurs in the corpus, and the corpus has no
// other (tested). A student's embedding knows these ids: another list needs another pretraining.
import { COT_TRIGGER, choicePrompt, numberPrompt } from '../task';
import { LETTERS } from '../extract/choice';
import { CONTAINERS, KINDS, PEOPLE, PRIZES, QUALITIES, THINGS } from './world';
import { wordPieces } from './words';

export const SPECIAL_TOKENS = { pad: '<pad>', bos: '<bos>', eos: '<eos>', unk: '<unk>' } as const;

const SIGNS = '\n * + , - . 0 1 2 3 4 5 6 7 8 9 : = ?';

/** Words of stories, facts, questions and solutions beside the world's own. */
const SAID =
  'A After An B C Choose D Each Final First He How Later Next Now One Only Option She So Step The Then There ' +
  'Therefore They To We What Which You a after all an and answer are because buys by can compute do does each ' +
  'eats end equals fewer finds first gets gives had have having he helps is kind know later left loses many ' +
  'minus more need now of one only plus points sells she should so start take than that the then these they ' +
  'thing times to together use uses want we what wins with you';

function worldTexts(): string[] {
  return [
    ...PEOPLE.map(({ name }) => name),
    ...THINGS,
    ...[...CONTAINERS, ...PRIZES].flat(),
    ...KINDS.flatMap(({ name, members, properties }) => [name, ...members, ...properties]),
    ...QUALITIES.flatMap(({ name, tools, jobs }) => [name, ...tools, ...jobs]),
  ];
}

function promptTexts(): string[] {
  const item = { id: '', question: '', target: '', choices: ['', '', '', ''] };
  return [
    numberPrompt(item),
    choicePrompt(item),
    COT_TRIGGER,
    ...LETTERS.slice(0, 4)
      .split('')
      .map((letter) => `${letter})`),
  ];
}

function tokenList(): string[] {
  const signs = ['\n', ...wordPieces(SIGNS.slice(1))];
  const others = [SAID, ...worldTexts(), ...promptTexts()].flatMap(wordPieces).filter((word) => !signs.includes(word));
  return [...Object.values(SPECIAL_TOKENS), ...signs, ...[...new Set(others)].sort()];
}

/** Tokens by id: control tokens, signs and digits, then words in the order of their code points. */
export const LESSON_TOKENS: readonly string[] = tokenList();

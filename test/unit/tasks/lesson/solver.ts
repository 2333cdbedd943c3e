// solver.ts: a reader of the lesson's texts that shares no code with its generators: it works out stories sentence by
// sentence, learns facts from sentences, and checks chains of reasoning step by step. For tests.

export interface SolvedStory {
  answer: number;
  /** Start and changes in the order of reckoning: "4 + 9 - 3"; the first two in ascending order where that is the same. */
  content: string;
}

const RECKON: Record<string, (a: number, b: number) => number> = {
  '+': (a, b) => a + b,
  '-': (a, b) => a - b,
  '*': (a, b) => a * b,
};

/** Start and changes of one number. */
class Tally {
  private readonly steps: [sign: string, n: number][] = [];
  constructor(private start: number) {}

  add(sign: string, n: number): void {
    this.steps.push([sign, n]);
  }

  solve(): SolvedStory {
    let [first, steps] = [this.start, this.steps];
    const next = steps[0];
    if (next !== undefined && next[0] !== '-' && next[1] < first) {
      steps = [[next[0], first], ...steps.slice(1)];
      first = next[1];
    }
    const answer = this.steps.reduce((value, [sign, n]) => RECKON[sign]!(value, n), this.start);
    return { answer, content: [String(first), ...steps.map(([sign, n]) => `${sign} ${n}`)].join(' ') };
  }
}

const GAIN = /^(\w+) (?:buys|finds|gets|wins) (\d+) more(?: \w+)?$/;
const LOSS = /^(\w+) (?:loses|sells|uses|eats) (\d+)(?: \w+)?$/;
const GIVES_TO = /^(\w+) gives (\d+)(?: \w+)? to (\w+)$/;
const GIVES = /^(\w+) gives (\w+) (\d+) \w+$/;

/**
 * Reads a story with its question.
 * @throws Error where a sentence has a form that is not known.
 */
export function solveStory(text: string): SolvedStory {
  const sentences = text.split(/(?<=[.?]) /);
  const question = sentences.at(-1)!;
  const tallies = new Map<string, Tally>();
  let hero = ''; // whom a pronoun means
  const name = (word: string): string => (/^(?:he|she|He|She)$/.test(word) ? hero : word);
  const start = (who: string, n: number, isHero = true): void => {
    if (isHero) hero = who;
    tallies.set(who, new Tally(n));
  };
  const change = (who: string, sign: string, n: number): void => tallies.get(name(who))?.add(sign, n);
  const clause = (said: string): void => {
    const [gain, loss, givesTo, gives] = [GAIN, LOSS, GIVES_TO, GIVES].map((form) => form.exec(said));
    if (gain) change(gain[1]!, '+', Number(gain[2]));
    else if (loss) change(loss[1]!, '-', Number(loss[2]));
    else if (givesTo) {
      change(givesTo[1]!, '-', Number(givesTo[2]));
      change(givesTo[3]!, '+', Number(givesTo[2]));
    } else if (gives) {
      change(gives[1]!, '-', Number(gives[3]));
      change(gives[2]!, '+', Number(gives[3]));
    } else throw new Error(`solver: unknown clause "${said}" in "${text}"`);
  };

  let each = 0; // points for each prize
  for (const sentence of sentences.slice(0, -1)) {
    const said = sentence.replace(/^(?:Then|Later|After that,) /, '').replace(/\.$/, '');
    let found: RegExpExecArray | null;
    if ((found = /^Each \w+ gives (\d+) points$/.exec(said))) each = Number(found[1]);
    else if ((found = /^(\w+) has (\d+) \w+ and (\w+) has (\d+) \w+$/.exec(said))) {
      start(found[1]!, Number(found[2]));
      start(found[3]!, Number(found[4]), false);
    } else if ((found = /^(\w+) has (\d+) (more|fewer) \w+ than (\w+)$/.exec(said))) {
      const other = tallies.get(found[4]!)!.solve().answer;
      start(found[1]!, other);
      change(found[1]!, found[3] === 'more' ? '+' : '-', Number(found[2]));
    } else if ((found = /^There are (\d+) \w+ in each \w+ and (\w+) has (\d+) \w+$/.exec(said))) {
      start(found[2]!, Number(found[3]));
      change(found[2]!, '*', Number(found[1]));
    } else if ((found = /^(\w+) (?:has|fills) (\d+) \w+ with (\d+) \w+ (?:each|in each \w+)$/.exec(said))) {
      start(found[1]!, Number(found[2]));
      change(found[1]!, '*', Number(found[3]));
    } else if ((found = /^(\w+) finds (\d+) \w+ first and (\d+) \w+ later$/.exec(said))) {
      start(found[1]!, Number(found[2]));
      change(found[1]!, '+', Number(found[3]));
    } else if ((found = /^(\w+) finds (\d+) \w+ and then (\d+) more$/.exec(said))) {
      start(found[1]!, Number(found[2]));
      change(found[1]!, '+', Number(found[3]));
    } else if ((found = /^(\w+) ha[sd] (\d+) \w+(?: and (.+))?$/.exec(said))) {
      start(found[1]!, Number(found[2]), hero === '');
      if (found[3] !== undefined) clause(`${found[1]} ${found[3]}`);
    } else if ((found = /^(\w+) (.+) after having (\d+) \w+$/.exec(said))) {
      start(found[1]!, Number(found[3]));
      clause(`${found[1]} ${found[2]}`);
    } else if ((found = /^(\w+) (.+) and then (.+)$/.exec(said))) {
      clause(`${found[1]} ${found[2]}`);
      clause(`${found[1]} ${found[3]}`);
    } else clause(said);
  }

  let asked: RegExpExecArray | null;
  if (/have together\?$/.test(question)) {
    const [a, b] = [...tallies.values()].map((tally) => tally.solve().answer) as [number, number];
    const both = new Tally(a);
    both.add('+', b);
    return both.solve();
  }
  if ((asked = /^How many more \w+ does (\w+) have than (\w+)\?$/.exec(question))) {
    const difference = new Tally(tallies.get(asked[1]!)!.solve().answer);
    difference.add('-', tallies.get(asked[2]!)!.solve().answer);
    return difference.solve();
  }
  if ((asked = /^How many (\w+) (?:does (\w+) have|are left)(?: now| in the end| in all)?\?$/.exec(question))) {
    const tally = tallies.get(asked[2] === undefined ? hero : name(asked[2]));
    if (tally === undefined) throw new Error(`solver: nobody of this name in "${text}"`);
    if (asked[1] === 'points') tally.add('*', each);
    return tally.solve();
  }
  throw new Error(`solver: unknown question "${question}"`);
}

/** What is known from sentences: what each thing is, and what each property or job takes. */
export class Knowledge {
  readonly is = new Map<string, string>();
  readonly takes = new Map<string, string>();

  /** Reads the sentences of facts; others are passed over. */
  learn(text: string): void {
    for (const sentence of text.split(/(?<=[.?]) /)) {
      let found: RegExpExecArray | null;
      if ((found = /^The thing that (?:can )?(.+) is an? (\w+)(?: thing)?\.$/.exec(sentence))) {
        this.add(this.takes, found[1]!, found[2]!);
      } else if ((found = /^The (\w+) is (?:an? )?(\w+)(?: thing)?\.$/.exec(sentence))) {
        this.add(this.is, found[1]!, found[2]!);
      }
    }
  }

  private add(facts: Map<string, string>, key: string, value: string): void {
    const known = facts.get(key);
    if (known !== undefined && known !== value) throw new Error(`facts: ${key} is ${known}, and ${value} as well`);
    facts.set(key, value);
  }

  /** What a question asks for: its property or job. */
  asked(question: string): string {
    const known = [...this.takes.keys()].filter((asked) => new RegExp(`\\b${asked}\\b`).test(question));
    if (known.length !== 1) throw new Error(`facts: "${question}" asks for ${known.length} known things`);
    return known[0]!;
  }

  /** Two hops: from the question to what it takes, from the options to what they are. */
  choose(question: string, options: readonly string[]): number {
    const need = this.takes.get(this.asked(question));
    const fitting = options.flatMap((option, i) => (this.is.get(option) === need ? [i] : []));
    if (fitting.length !== 1) throw new Error(`facts: ${fitting.length} of ${options.join(', ')} are ${need}`);
    return fitting[0]!;
  }
}

const SIGN: Record<string, string> = { '+': '+', '-': '-', '*': '*', plus: '+', minus: '-', times: '*' };

export interface CheckedSums {
  /** Steps whose result is not what they say. */
  wrongSteps: number;
  content: string;
  answer: number;
}

/** Checks the sums of a solution: each goes on from the one before, and the answer is the last one's result. */
export function checkSums(text: string): CheckedSums {
  const sums = [...text.matchAll(/(\d+) (\+|-|\*|plus|minus|times) (\d+) (?:=|equals) (\d+)/g)];
  if (sums.length === 0) throw new Error(`solver: no sum in "${text}"`);
  const tally = new Tally(Number(sums[0]![1]));
  let wrongSteps = 0;
  sums.forEach(([, left, sign, right, result], i) => {
    if (i > 0 && left !== sums[i - 1]![4]) throw new Error(`solver: step ${i + 1} of "${text}" does not go on`);
    tally.add(SIGN[sign!]!, Number(right));
    if (RECKON[SIGN[sign!]!]!(Number(left), Number(right)) !== Number(result)) wrongSteps++;
  });
  const answer = Number(sums.at(-1)![4]);
  const said = /(\d+)\.$/.exec(text)?.[1];
  if (Number(said) !== answer) throw new Error(`solver: "${text}" ends with another answer than its chain`);
  return { wrongSteps, content: tally.solve().content, answer };
}

export interface CheckedHops {
  /** Hops that contradict the facts. */
  wrongHops: number;
  /** The letter it ends with. */
  letter: string;
}

/**
 * Checks the hops of a solution to a question with options: what each option is, what is needed, and that the chosen one
 * is said to be that.
 */
export function checkHops(text: string, options: readonly string[], knowledge: Knowledge): CheckedHops {
  const said = new Map<string, string>();
  for (const [, letter, name, is, again] of text.matchAll(/([A-D])\) (\w+) is (?:an? )?(\w+) ([A-D])\)\./g)) {
    if (letter !== again || options['ABCD'.indexOf(letter!)] !== name)
      throw new Error(`solver: ${letter}) in "${text}"`);
    said.set(letter!, is!);
  }
  for (const [, is, letter] of text.matchAll(/Option (\w+) ([A-D])\)\./g)) said.set(letter!, is!);
  if (said.size !== options.length) throw new Error(`solver: ${said.size} options are named in "${text}"`);
  let wrongHops = [...said].filter(([letter, is]) => knowledge.is.get(options['ABCD'.indexOf(letter)]!) !== is).length;

  const need = /(?:We need the|Choose) (\w+) ([A-D])\)/.exec(text);
  const end = /([A-D])\) (\w+)\.$/.exec(text);
  if (need === null || end === null) throw new Error(`solver: "${text}" does not conclude`);
  const [, letter, name] = end;
  if (need[2] !== letter || said.get(letter!) !== need[1] || options['ABCD'.indexOf(letter!)] !== name) {
    throw new Error(`solver: "${text}" does not follow from itself`);
  }
  if ([...said.values()].filter((is) => is === need[1]).length !== 1) {
    throw new Error(`solver: "${text}" could end with another option`);
  }
  if (knowledge.takes.get(knowledge.asked(text)) !== need[1]) wrongHops++;
  return { wrongHops, letter: letter! };
}

// codedDemonstrations.ts: demonstrations of one teacher as token ids: each encoded when it is first used, and once, whichever phases use
// it. Which are used, and what is too long, prepare.ts says.
import type { PromptTokens } from '../recipes/pairs';
import type { Task, TaskItem } from '../tasks/task';
import type { Demonstration } from '../teachers/demonstration';
import type { Encoder } from './encoder';

/** A demonstration and what it takes of the student's context, its answer with the end of text. */
export type UsedDemonstration = Demonstration & { promptTokens: number; answerTokens: number };

/** What a student is trained on. */
export interface CodedIds {
  /** Of the CoT prompt. */
  prompt: PromptTokens;
  answer: readonly number[];
  used: UsedDemonstration;
}

export interface Coded {
  /** Absent where the student's vocabulary lacks a word. */
  ids?: CodedIds;
  /** Words that the vocabulary cannot express. */
  unknown: Iterable<string>;
}

/** The item's plain prompt, from which phase 2 samples. */
export interface CodedPlain {
  prompt: PromptTokens;
  unknown: Iterable<string>;
}

const NONE: readonly string[] = [];
const wordsOf = ({ unknown }: Encoder): Iterable<string> => (unknown.size === 0 ? NONE : unknown);

export class CodedDemonstrations {
  private readonly coded = new Map<Demonstration, Coded>();
  private readonly plainPrompts = new Map<Demonstration, CodedPlain>();

  constructor(
    private readonly task: Pick<Task, 'plainPrompt'>,
    private readonly newEncoder: () => Encoder,
  ) {}

  of(demonstration: Demonstration): Coded {
    return kept(this.coded, demonstration, () => {
      const encoder = this.newEncoder();
      const text = cotText(demonstration);
      if (!encoder.canSay(text, demonstration.answer)) return { unknown: wordsOf(encoder) };
      const prompt = encoder.prompt(text, 'wrapped');
      const answer = encoder.answer(demonstration.answer);
      const used = { ...demonstration, promptTokens: prompt.ids.length, answerTokens: answer.length };
      return { ids: { prompt, answer, used }, unknown: wordsOf(encoder) };
    });
  }

  plain(demonstration: Demonstration, item: TaskItem): CodedPlain {
    return kept(this.plainPrompts, demonstration, () => {
      const encoder = this.newEncoder();
      const prompt = encoder.prompt(this.task.plainPrompt(item), 'wrapped');
      return { prompt, unknown: wordsOf(encoder) };
    });
  }
}

function kept<K, V>(map: Map<K, V>, key: K, make: () => V): V {
  const known = map.get(key);
  if (known !== undefined) return known;
  const made = make();
  map.set(key, made);
  return made;
}

function cotText({ instruction, question }: Demonstration): string {
  return question === '' ? instruction : `${instruction}\n${question}`;
}

// chat.ts: a conversation on the command line, a line a turn: a person's at a terminal, or lines of a pipe. Each system keeps its
// own side of it. What an answer looks like is talkOutput.ts.
import { createInterface, type Interface } from 'node:readline';
import { PupilError } from '../base/errors';
import type { ChatMessage, TalkAnswer } from '../session/protocol';
import type { Output } from './output';

const HELP = '/system TEXT sets the system prompt and begins anew, /reset begins anew, /quit ends.';

export interface ChatOptions {
  input: NodeJS.ReadableStream & { isTTY?: boolean };
  /** Where the prompt sign is written at a terminal. */
  prompts: NodeJS.WritableStream;
  output: Output;
  systemPrompt: string | undefined;
  /** How many keep a conversation of their own. */
  systems: number;
  /** The answer of a system. */
  answer: (system: number, messages: ChatMessage[]) => Promise<TalkAnswer>;
  /** Ends the answer that is under way; false where there is none. */
  interrupt: () => boolean;
}

/** Talks until the input ends or /quit. Returns whether an answer was stopped where nobody can go on: in a pipe. */
export async function chat(options: ChatOptions): Promise<boolean> {
  const { input, prompts, output, systems } = options;
  const atTerminal = input.isTTY === true;
  const lines = createInterface({ input, ...(atTerminal ? { output: prompts, terminal: true } : {}) });
  // At a terminal readline takes Ctrl-C: it ends the answer, or the conversation where none is under way.
  lines.on('SIGINT', () => {
    if (!options.interrupt()) lines.close();
  });
  lines.setPrompt('> ');
  if (atTerminal) output.note(HELP);
  let system = options.systemPrompt;
  let turns: ChatMessage[][] = Array.from({ length: systems }, () => []);
  const ask = (): void => {
    if (atTerminal) lines.prompt();
  };
  try {
    ask();
    for await (const raw of typedLines(lines)) {
      const line = raw.trim();
      const [, command, rest] = /^\/(\S+)\s*(.*)$/s.exec(line) ?? [];
      if (command === 'quit') return false;
      if (command === 'reset' || command === 'system') {
        turns = turns.map(() => []);
        if (command === 'system') system = rest === '' ? undefined : rest;
        output.note(system === undefined ? 'a new conversation' : `a new conversation; system prompt: ${system}`);
      } else if (command !== undefined) output.note(`/${command}: no such command. ${HELP}`);
      else if (line !== '') {
        for (const [index, before] of turns.entries()) {
          const said: ChatMessage[] = [...before, { role: 'user', content: line }];
          const first: ChatMessage[] = system === undefined ? [] : [{ role: 'system', content: system }];
          try {
            const { text, stopped } = await options.answer(index, [...first, ...said]);
            turns[index] = [...said, { role: 'assistant', content: text }];
            if (stopped === 'cancelled' && !atTerminal) return true;
            if (stopped === 'cancelled') break;
          } catch (error) {
            // A person can say it differently; a pipe cannot.
            if (!atTerminal || !(error instanceof PupilError)) throw error;
            output.error(error);
            break;
          }
        }
      }
      ask();
    }
    return false;
  } finally {
    lines.close();
  }
}

/** Lines as they come. (readline's own iterator loses those that arrive before it is asked for.) */
async function* typedLines(lines: Interface): AsyncGenerator<string> {
  const waiting: string[] = [];
  let wake: () => void = () => undefined;
  let ended = false;
  lines.on('line', (line) => {
    waiting.push(line);
    wake();
  });
  lines.on('close', () => {
    ended = true;
    wake();
  });
  for (;;) {
    const line = waiting.shift();
    if (line !== undefined) yield line;
    else if (ended) return;
    else await new Promise<void>((resolve) => (wake = resolve));
  }
}

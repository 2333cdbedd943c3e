// generate.ts: `pupil generate`: a text continued, or a conversation, by any student, with any number of adapters side by side over
// one base. (`pupil inspect generate` is the port for ids.) The answers come from the session; how they look is talkOutput.ts.
import { Option, type Command } from 'commander';
import { readFileSync } from 'node:fs';
import { basename } from 'node:path';
import { PupilError } from '../../base/errors';
import type { ChatMessage, SessionApi, TalkAnswer, TalkRequest } from '../../session/protocol';
import { chat } from '../chat';
import { perform, withSession, type ExitCode, type VerbContext } from '../context';
import { expectFile } from '../files';
import { stopOnInterrupt } from '../interrupt';
import { ADAPTER_HELP, expectModelFolder, expectStudent, here, STUDENT_HELP, type ModelFolder } from '../modelFolder';
import {
  cacheRequest,
  integerIn,
  numberIn,
  QUANTIZE,
  withCacheFlags,
  withDeviceFlags,
  type CommonFlags,
} from '../options';
import type { Output } from '../output';
import { TalkOutput } from '../talkOutput';

interface GenerateFlags extends CommonFlags {
  student: string;
  adapter: string[];
  prompt?: string;
  promptFile?: string;
  chat?: boolean;
  system?: string;
  maxNewTokens: number;
  temperature: number;
  topK: number;
  topP: number;
  seed: number;
  stop: string[];
  probabilities?: number | true;
  quantize: (typeof QUANTIZE)[number];
}

/** One student that answers: the base, or an adapter on it. */
interface System {
  label: string;
  /** undefined: the base without one. */
  adapter: ModelFolder | undefined;
}

/** Alternatives shown where no number is said. */
const ALTERNATIVES = 5;
const NO_ADAPTER = 'none';

const collect = (text: string, before: string[] = []): string[] => [...before, text];

export function registerGenerate(program: Command, context: VerbContext): void {
  withCacheFlags(withDeviceFlags(program.command('generate').description('continue a text, or talk, with any student')))
    .requiredOption('--student <student>', STUDENT_HELP)
    .option(
      '--adapter <adapter>',
      `${ADAPTER_HELP}; repeat it to hear several side by side, "none" is the student without one`,
      collect,
      [],
    )
    .option('--prompt <text>', 'the text to continue; with --chat one message')
    .option('--prompt-file <file>', 'the same from a file, as it stands')
    .option('--chat', "talk in turns by the student's chat template; without --prompt a message a line, until /quit")
    .option('--system <text>', 'system prompt of --chat')
    .option('--max-new-tokens <n>', 'longest answer', integerIn(1), 256)
    .option('--temperature <t>', '0: always the likeliest token', numberIn(0), 0)
    .option('--top-k <k>', 'draw from the k likeliest tokens; 0: all', integerIn(0), 0)
    .option('--top-p <p>', 'draw from the fewest tokens that have this share; 1: all', numberIn(1e-6, 1), 1)
    .option('--seed <n>', 'of the draws', integerIn(0, 0xffffffff), 0)
    .option('--stop <text>', 'a text that ends the answer and is no part of it; repeatable', collect, [])
    .option(
      '--probabilities [n]',
      `a line a token: its probability and the n likeliest (${ALTERNATIVES})`,
      integerIn(0, 10),
    )
    .addOption(new Option('--quantize <kind>', 'how the student is held').choices(QUANTIZE).default('none'))
    .action((flags: GenerateFlags) =>
      perform(context, flags.json === true, async (output) => {
        const prompt = promptOf(flags);
        const student = expectStudent('--student', flags.student);
        const systems = systemsOf(flags.adapter);
        const paths = systems.flatMap(({ adapter }) => here(adapter));
        return withSession(context, flags, output, async (session, host) => {
          const talk = talkWith(session, output, systems, flags, {
            files: host.reads([...here(student), ...paths]),
            ...cacheRequest(flags),
            student: {
              source: student.path === undefined ? student.source : { kind: 'directory', path: student.folder },
              quantize: flags.quantize,
              ...(flags.tier === undefined ? {} : { tier: flags.tier }),
            },
          });
          const release = stopOnInterrupt(session, output, 'ending the answer');
          try {
            if (flags.chat === true && prompt === undefined)
              return await converse(context, output, systems, flags, talk);
            return await answerOnce(systems, flags, prompt ?? (await readAll(context)), talk.ask);
          } finally {
            release();
          }
        });
      }),
    );
}

/** The text that flags name; undefined where it comes from standard input. */
function promptOf(flags: GenerateFlags): string | undefined {
  if (flags.prompt !== undefined && flags.promptFile !== undefined) {
    throw new PupilError('usage', '--prompt-file: expected it or --prompt, got both', 'Leave one out.');
  }
  if (flags.system !== undefined && flags.chat !== true) {
    throw new PupilError(
      'usage',
      '--system: expected --chat with it, got none',
      'A text to be continued has no system prompt.',
    );
  }
  if (flags.promptFile !== undefined) return readFileSync(expectFile('--prompt-file', flags.promptFile), 'utf8');
  return flags.prompt;
}

/** Systems by short names that tell them apart. */
function systemsOf(adapters: readonly string[]): System[] {
  if (adapters.length === 0) return [{ label: NO_ADAPTER, adapter: undefined }];
  const short = adapters.map((path) => basename(path.replace(/[/\\]+$/, '')));
  return adapters.map((path, i) => {
    if (path === NO_ADAPTER) return { label: NO_ADAPTER, adapter: undefined };
    const unique = short.filter((name) => name === short[i]).length === 1;
    return { label: unique ? short[i]! : path, adapter: expectModelFolder('--adapter', path, 'adapter_config.json') };
  });
}

interface Talk {
  ask: (system: number, what: Pick<TalkRequest, 'messages' | 'text'>) => Promise<TalkAnswer>;
  /** Ends the answer under way; false where there is none. */
  interrupt: () => boolean;
}

function talkWith(
  session: SessionApi,
  output: Output,
  systems: readonly System[],
  flags: GenerateFlags,
  student: Pick<TalkRequest, 'files' | 'student' | 'cache'>,
): Talk {
  const { maxNewTokens, temperature, topK, topP, seed, stop, probabilities } = flags;
  const topLogprobs = probabilities === true ? ALTERNATIVES : probabilities;
  const settings = { maxNewTokens, temperature, topK, topP, seed, stop };
  let answering = false;
  return {
    async ask(system, what) {
      const { label, adapter } = systems[system]!;
      const show = new TalkOutput(output, label, {
        probabilities: topLogprobs !== undefined,
        labelled: systems.length > 1,
      });
      answering = true;
      try {
        const answer = await session.talk(
          {
            ...student,
            ...settings,
            ...what,
            ...(topLogprobs === undefined ? {} : { topLogprobs }),
            ...(adapter === undefined ? {} : { adapter: { path: adapter.folder } }),
          },
          show.event,
        );
        show.answer(answer);
        return answer;
      } finally {
        answering = false;
        show.close();
      }
    },
    interrupt() {
      if (answering) void session.stop();
      return answering;
    },
  };
}

/** Every system's answer to one text or message. */
async function answerOnce(
  systems: readonly System[],
  flags: GenerateFlags,
  prompt: string,
  ask: Talk['ask'],
): Promise<ExitCode> {
  for (const system of systems.keys()) {
    const what = flags.chat === true ? { messages: conversation(flags.system, prompt) } : { text: prompt };
    const { stopped } = await ask(system, what);
    if (stopped === 'cancelled') return 130;
  }
  return 0;
}

const conversation = (system: string | undefined, message: string): ChatMessage[] => [
  ...(system === undefined ? [] : [{ role: 'system' as const, content: system }]),
  { role: 'user', content: message },
];

async function converse(
  context: VerbContext,
  output: Output,
  systems: readonly System[],
  flags: GenerateFlags,
  { ask, interrupt }: Talk,
): Promise<ExitCode> {
  const stopped = await chat({
    input: context.input ?? process.stdin,
    prompts: process.stderr,
    output,
    systemPrompt: flags.system,
    systems: systems.length,
    answer: (system, messages) => ask(system, { messages }),
    interrupt,
  });
  return stopped ? 130 : 0;
}

/** All of standard input: the text to be continued, its last line break left out. */
async function readAll(context: VerbContext): Promise<string> {
  const input = context.input ?? process.stdin;
  if (input.isTTY === true) {
    throw new PupilError(
      'usage',
      'generate: expected --prompt, --prompt-file or --chat, got none',
      'Or pipe a text into it.',
    );
  }
  let text = '';
  for await (const chunk of input) text += String(chunk);
  return text.replace(/\r?\n$/, '');
}

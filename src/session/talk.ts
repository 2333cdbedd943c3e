// talk.ts: free talk with any student, in turns or by continuing a text, told token by token. Whom it asks is kept by
// loadedStudents.ts; questions of tasks, with their prompts and extraction, are ask.ts's.
import { PupilError } from '../base/errors';
import type { Progress } from '../base/progress';
import { parseStudent, type StudentConfig } from '../config/experiment';
import type { Gpu } from '../gpu/device';
import { MAX_ALTERNATIVES } from '../kernels/tokenLogps';
import type { Generator } from '../model/generator';
import type { NewTokens } from '../model/tokenProbabilities';
import { expectRunId } from '../storage/runStore';
import { conversationPrompt, type ChatStudent, type ConversationPrompt } from '../text/conversationPrompt';
import { encodePrompt } from '../text/wrapper';
import type { OpenedStudent } from './load';
import type { AdapterPlace, LoadedStudents } from './loadedStudents';
import type { TalkAnswer, TalkEvent, TalkRequest, TalkStudent, TalkStudentRequest } from './talkProtocol';
import { TalkTokens } from './talkTokens';

const MAX_NEW_TOKENS = 256;
/** Prompts are given room in powers of two from here on: the next turn of a conversation mostly needs no other generator. */
const LEAST_PROMPT_TOKENS = 64;

type Listener = (event: TalkEvent) => void;

/** The student of a request, without its weights. */
export async function talkStudent(request: TalkStudentRequest, students: LoadedStudents): Promise<TalkStudent> {
  const opened = await students.open({ ...request, student: parseStudent(request.student) });
  const { source, parameters } = opened.report;
  const chat = opened.tokenizer.chatTemplate !== undefined;
  return { source, parameters, contextTokens: opened.config.maxPositions, chat };
}

/** Answers one request at a time, with the students that are kept. */
export class Talker {
  constructor(private readonly students: LoadedStudents) {}

  /**
   * @param deviceOf the device at the tier that the student asks for.
   * @throws PupilError `usage` for a request that cannot be answered, and what loading throws; `cancelled` while loading.
   */
  async talk(
    request: TalkRequest,
    deviceOf: (tier: StudentConfig['tier']) => Promise<Gpu>,
    signal: AbortSignal,
    onEvent: Listener,
  ): Promise<TalkAnswer> {
    const settings = settingsOf(request);
    const student = parseStudent(request.student);
    const opened = await this.students.open({ ...request, student });
    const prompt = promptOf(request, opened, settings.maxNewTokens);
    const gpu = await deviceOf(student.tier);
    const context = opened.config.maxPositions;
    const newTokenLimit = Math.min(settings.maxNewTokens, context - prompt.ids.length);
    const { generator, warning } = await this.students.generator({
      gpu,
      student,
      opened,
      ...(request.adapter === undefined ? {} : { adapter: adapterPlace(request) }),
      options: {
        batchSize: 1,
        maxPromptTokens: Math.min(promptRoom(prompt.ids.length), context - newTokenLimit),
        maxNewTokens: newTokenLimit,
        temperature: settings.temperature,
        topK: settings.topK,
        topP: settings.topP,
        eosIds: opened.eosIds,
        ...(settings.topLogprobs === undefined ? {} : { probabilities: { alternatives: settings.topLogprobs } }),
      },
      onProgress: (progress: Progress) => onEvent({ type: 'progress', progress }),
      signal,
    });
    onEvent({ type: 'start', promptTokens: prompt.ids.length, droppedMessages: prompt.dropped, newTokenLimit });
    const tokens = new TalkTokens(opened.tokenizer.tokenizer, prompt.ids, settings.stop, onEvent);
    const told = await generate(generator, prompt.ids, settings.seed, tokens, signal);
    const unknownWords = [...new Set(opened.tokenizer.tokenizer.unknownPieces(spoken(request)))];
    return {
      text: tokens.text,
      ids: tokens.ids,
      ...told,
      prompt: prompt.text,
      usage: { promptTokens: prompt.ids.length, newTokens: tokens.ids.length },
      droppedMessages: prompt.dropped,
      tokensPerSecond: told.seconds > 0 ? tokens.ids.length / told.seconds : 0,
      unknownWords,
      notes: [
        ...(warning === undefined ? [] : [warning]),
        ...(newTokenLimit < settings.maxNewTokens && told.stopped === 'length'
          ? [`the answer ended with the context of ${context} tokens, after ${newTokenLimit} new ones`]
          : []),
      ],
    };
  }
}

/** Thrown out of the generator when a stop text has come. */
class StopText extends Error {}

/** Runs the generator until the answer ends, and says why it did. */
async function generate(
  generator: Generator,
  ids: readonly number[],
  seed: number,
  tokens: TalkTokens,
  signal: AbortSignal,
): Promise<Pick<TalkAnswer, 'stopped' | 'seconds' | 'firstTokenSeconds'>> {
  const startedAt = performance.now();
  const secondsSince = (): number => (performance.now() - startedAt) / 1000;
  let firstTokenSeconds: number | undefined;
  const onTokens = ([news]: readonly NewTokens[]): void => {
    firstTokenSeconds ??= secondsSince();
    if (tokens.take(news!)) throw new StopText();
  };
  const ended = (stopped: TalkAnswer['stopped']): Pick<TalkAnswer, 'stopped' | 'seconds' | 'firstTokenSeconds'> => {
    const seconds = secondsSince();
    return { stopped, seconds, firstTokenSeconds: firstTokenSeconds ?? seconds };
  };
  try {
    const [answer] = await generator.generate([ids], { seed, stream: 'talk', signal, onTokens });
    return tokens.finish() ? ended('stop') : ended(answer!.stopped);
  } catch (error) {
    if (error instanceof StopText) return ended('stop');
    if (!(error instanceof PupilError && error.code === 'cancelled' && signal.aborted)) throw error;
    tokens.finish();
    return ended('cancelled');
  }
}

type Settings = Required<Pick<TalkRequest, 'maxNewTokens' | 'temperature' | 'topK' | 'topP' | 'seed' | 'stop'>> & {
  topLogprobs?: number;
};

/** The request's numbers with their defaults. */
function settingsOf(request: TalkRequest): Settings {
  const { maxNewTokens = MAX_NEW_TOKENS, temperature = 0, topK = 0, topP = 1, seed = 0, stop = [] } = request;
  const { topLogprobs } = request;
  const demand = (name: string, holds: boolean, expected: string, value: unknown): void => {
    if (!holds) throw new PupilError('usage', `talk: expected ${name} to be ${expected}, got ${JSON.stringify(value)}`);
  };
  const whole = (value: number, low: number, high: number): boolean =>
    Number.isInteger(value) && value >= low && value <= high;
  demand('maxNewTokens', whole(maxNewTokens, 1, 2 ** 24), 'a whole number from 1', maxNewTokens);
  demand('temperature', Number.isFinite(temperature) && temperature >= 0, 'a number from 0', temperature);
  demand('topK', whole(topK, 0, 2 ** 24), 'a whole number from 0 (0: all)', topK);
  demand('topP', topP > 0 && topP <= 1, 'in (0, 1]', topP);
  demand('seed', whole(seed, 0, 2 ** 32 - 1), 'a whole number from 0 to 2³² − 1', seed);
  demand(
    'stop',
    Array.isArray(stop) && stop.every((one) => typeof one === 'string' && one !== ''),
    'texts, none of them empty',
    stop,
  );
  demand(
    'topLogprobs',
    topLogprobs === undefined || whole(topLogprobs, 0, MAX_ALTERNATIVES),
    `0 to ${MAX_ALTERNATIVES}`,
    topLogprobs,
  );
  return { maxNewTokens, temperature, topK, topP, seed, stop, ...(topLogprobs === undefined ? {} : { topLogprobs }) };
}

/** What the person said, for words that the vocabulary lacks. */
const spoken = ({ messages, text }: TalkRequest): string => text ?? messages!.map(({ content }) => content).join('\n');

function promptOf(request: TalkRequest, opened: OpenedStudent, maxNewTokens: number): ConversationPrompt {
  const { messages, text } = request;
  const context = opened.config.maxPositions;
  if ((messages === undefined) === (text === undefined)) {
    throw new PupilError('usage', `talk: expected messages or a text, got ${text === undefined ? 'neither' : 'both'}`);
  }
  if (messages !== undefined) {
    // Half of the context at least is the conversation's, whatever the answer may take.
    return conversationPrompt(chatStudent(opened), messages, context - Math.min(maxNewTokens, Math.floor(context / 2)));
  }
  const ids = encodePrompt(opened.tokenizer.tokenizer, { text: text!, literal: [] });
  if (ids.length === 0) {
    throw new PupilError(
      'usage',
      'talk: expected a text to continue, it is empty',
      'This student has no token that begins a text.',
    );
  }
  if (ids.length >= context) {
    throw new PupilError(
      'usage',
      `talk: expected a text of fewer tokens than the student's context of ${context}, got ${ids.length}`,
      'A text to be continued is not cut: shorten it.',
    );
  }
  return { text: text!, ids, dropped: 0 };
}

function chatStudent({ tokenizer: { tokenizer, chatTemplate }, report }: OpenedStudent): ChatStudent {
  if (chatTemplate !== undefined) return { tokenizer, chatTemplate };
  throw new PupilError(
    'usage',
    `talk: expected a student with a chat template, ${report.source} has none`,
    'Give a text to be continued (completion), or a student that was tuned for chat.',
  );
}

function adapterPlace({ adapter, files }: TalkRequest): AdapterPlace {
  if ('runId' in adapter!) return { kind: 'run', runId: expectRunId(adapter.runId), system: adapter.system };
  return { kind: 'folder', files: adapter!.files ?? files, path: adapter!.path };
}

function promptRoom(tokens: number): number {
  return Math.max(LEAST_PROMPT_TOKENS, 2 ** Math.ceil(Math.log2(tokens)));
}

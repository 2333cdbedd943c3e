// verbsGenerate.test.ts: `pupil generate` against a session that only remembers: what it is asked, what is shown while it answers,
// a conversation over a pipe, and refusals before anything is started. What the session answers is test/unit/session/talk.
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { afterAll, describe, expect, it } from 'vitest';
import { PupilError } from '../../src/base/errors';
import { pathInRoot } from '../../src/cli/host';
import type { TalkAnswer, TalkEvent, TalkRequest } from '../../src/session/protocol';
import { jsonLines, pupil } from './fakeSession';

const folder = mkdtempSync(join(tmpdir(), 'pupil-generate-'));
afterAll(() => rmSync(folder, { recursive: true }));
const made = (name: string, file: string): string => {
  mkdirSync(join(folder, name), { recursive: true });
  writeFileSync(join(folder, name, file), '{}');
  return join(folder, name);
};
const STUDENT = made('student', 'config.json');
const ONE = made('run/one', 'adapter_config.json');
const TWO = made('run/two', 'adapter_config.json');
const OTHER_TWO = made('other/two', 'adapter_config.json');

const typed = (text: string): { input: NodeJS.ReadableStream } => ({ input: Readable.from([text]) });

/** Says the last word that it heard, twice. */
const talk = (request: TalkRequest, on: (event: TalkEvent) => void): TalkAnswer => {
  const said = request.text ?? request.messages!.at(-1)!.content;
  const word = said.trim().split(/\s/).at(-1)!;
  on({ type: 'start', promptTokens: 3, droppedMessages: said.includes('long') ? 2 : 0, newTokenLimit: 9 });
  const probability = {
    logprob: Math.log(0.75),
    alternatives: [
      { id: 7, text: ` ${word}`, logprob: Math.log(0.75) },
      { id: 8, text: ' or', logprob: Math.log(0.125) },
    ],
  };
  for (let i = 0; i < 2; i++) {
    const token = { id: 7, text: ` ${word}`, ...(request.topLogprobs === undefined ? {} : probability) };
    on({ type: 'piece', text: ` ${word}`, tokens: [token] });
  }
  return {
    text: ` ${word} ${word}`,
    ids: [7, 7],
    stopped: 'eos',
    prompt: said,
    usage: { promptTokens: 3, newTokens: 2 },
    droppedMessages: 0,
    seconds: 0.5,
    firstTokenSeconds: 0.1,
    tokensPerSecond: 4,
    unknownWords: said.includes('quokka') ? ['quokka'] : [],
    notes: [],
  };
};

const requests = (calls: { method: string; args: unknown[] }[]): TalkRequest[] =>
  calls.filter(({ method }) => method === 'talk').map(({ args }) => args[0] as TalkRequest);

describe('pupil generate', () => {
  it('continues a text with the settings of its flags; stdout is the text alone', async () => {
    const args = [
      '--temperature',
      '0.7',
      '--top-k',
      '40',
      '--top-p',
      '0.9',
      '--seed',
      '5',
      '--stop',
      'Q:',
      '--stop',
      '\n',
    ];
    const { code, out, err, calls, hosts, closed } = await pupil(
      [
        'generate',
        '--student',
        STUDENT,
        '--prompt',
        'say quokka',
        '--max-new-tokens',
        '9',
        '--quantize',
        'nf4',
        ...args,
      ],
      { talk },
    );
    expect(code).toBe(0);
    expect(out).toBe(' quokka quokka\n');
    expect(err).toContain('unknown to this student');
    expect(err).toContain('3 + 2 tokens, 4.0 tokens/s, ended by the student');
    expect(hosts[0]!.kind).toBe('chrome');
    expect(closed).toBe(1);
    const [request] = requests(calls);
    expect(request).toMatchObject({
      student: { source: { kind: 'directory', path: pathInRoot(STUDENT) }, quantize: 'nf4' },
      text: 'say quokka',
      maxNewTokens: 9,
      temperature: 0.7,
      topK: 40,
      topP: 0.9,
      seed: 5,
      stop: ['Q:', '\n'],
    });
    expect('topLogprobs' in request! || 'adapter' in request! || 'messages' in request!).toBe(false);
  });

  it('shows several systems side by side, each by the shortest name that tells it apart', async () => {
    const flags = ['--adapter', 'none', '--adapter', ONE, '--adapter', TWO, '--adapter', OTHER_TWO];
    const { out, calls } = await pupil(['generate', '--student', STUDENT, '--prompt', 'hi', ...flags], { talk });
    expect(out).toBe(`— none\n hi hi\n— one\n hi hi\n— ${TWO}\n hi hi\n— ${OTHER_TWO}\n hi hi\n`);
    expect(requests(calls).map(({ adapter }) => adapter)).toEqual([
      undefined,
      ...[ONE, TWO, OTHER_TWO].map((path) => ({ path: pathInRoot(path) })),
    ]);
    expect(calls.filter(({ method }) => method === 'open')).toHaveLength(1);
  });

  it('writes probabilities and alternatives, a line a token; JSON lines for machines', async () => {
    const args = ['generate', '--student', STUDENT, '--prompt', 'hi', '--probabilities'];
    const plain = await pupil(args, { talk });
    expect(plain.out).toBe('  75.0 %  " hi"            " or" 12.5 %\n'.repeat(2));
    expect(requests(plain.calls)[0]!.topLogprobs).toBe(5);
    const machine = await pupil([...args, '2', '--json'], { talk });
    expect(requests(machine.calls)[0]!.topLogprobs).toBe(2);
    const rows = jsonLines(machine.out);
    expect(rows.map(({ type }) => type)).toEqual(['start', 'piece', 'piece', 'answer']);
    expect(rows[1]).toMatchObject({ system: 'none', text: ' hi', tokens: [{ id: 7, logprob: Math.log(0.75) }] });
    expect(rows[3]).toMatchObject({ system: 'none', text: ' hi hi', stopped: 'eos', usage: { newTokens: 2 } });
  });

  it('talks in turns over a pipe: each system with its own answers, /system and /reset begin anew', async () => {
    const lines = 'hello\nhow long\n\n/system be brief\nagain\n/reset\n/what\nlast\n/quit\nnever\n';
    const { code, out, err, calls } = await pupil(
      ['generate', '--student', STUDENT, '--chat', '--adapter', 'none', '--adapter', ONE],
      { talk },
      typed(lines),
    );
    expect(code).toBe(0);
    const asked = requests(calls).map(({ messages, adapter }) => ({
      adapter: adapter !== undefined,
      said: messages!.map(({ role, content }) => `${role}: ${content}`),
    }));
    expect(asked.filter(({ adapter }) => !adapter).map(({ said }) => said)).toEqual([
      ['user: hello'],
      ['user: hello', 'assistant:  hello hello', 'user: how long'],
      ['system: be brief', 'user: again'],
      ['system: be brief', 'user: last'],
    ]);
    expect(asked.filter(({ adapter }) => adapter)).toHaveLength(4);
    expect(out.startsWith('— none\n hello hello\n— one\n hello hello\n')).toBe(true);
    expect(err).toContain('no room for the first 2 messages');
    expect(err).toContain('/what: no such command');
    expect(err).not.toContain('> '); // no prompt sign in a pipe
  });

  it('one message with --chat --prompt; a text from a file or a pipe as it stands', async () => {
    const chat = await pupil(['generate', '--student', STUDENT, '--chat', '--system', 'brief', '--prompt', 'hi'], {
      talk,
    });
    expect(requests(chat.calls)[0]!.messages).toEqual([
      { role: 'system', content: 'brief' },
      { role: 'user', content: 'hi' },
    ]);
    const file = join(folder, 'prompt.txt');
    writeFileSync(file, 'two\nlines\n');
    const fromFile = await pupil(['generate', '--student', STUDENT, '--prompt-file', file], { talk });
    expect(requests(fromFile.calls)[0]!.text).toBe('two\nlines\n');
    const piped = await pupil(['generate', '--student', STUDENT], { talk }, typed('two\nlines\n'));
    expect(requests(piped.calls)[0]!.text).toBe('two\nlines');
  });

  it('a stopped answer ends with 130, and those behind it are not asked', async () => {
    const stopped = (request: TalkRequest, on: (event: TalkEvent) => void): TalkAnswer => ({
      ...talk(request, on),
      stopped: 'cancelled',
    });
    const flags = ['--prompt', 'hi', '--adapter', 'none', '--adapter', ONE];
    const { code, out, err, calls } = await pupil(['generate', '--student', STUDENT, ...flags], { talk: stopped });
    expect(code).toBe(130);
    expect(requests(calls)).toHaveLength(1);
    expect(out.endsWith('\n')).toBe(true);
    expect(err).toContain('stopped');
    const chat = await pupil(['generate', '--student', STUDENT, '--chat'], { talk: stopped }, typed('a\nb\n'));
    expect(chat.code).toBe(130);
    expect(requests(chat.calls)).toHaveLength(1);
  });

  it('refuses contradictions and missing folders before a session is opened; shows the session’s own refusals', async () => {
    const refused = async (args: string[], code = 2): Promise<string> => {
      const result = await pupil(['generate', ...args], { talk });
      expect(result.code, result.err).toBe(code);
      expect(result.hosts).toEqual([]);
      return result.err;
    };
    expect(await refused(['--prompt', 'hi'])).toContain('--student');
    const student = ['--student', STUDENT];
    expect(await refused([...student, '--prompt', 'a', '--prompt-file', 'b'])).toContain('got both');
    expect(await refused([...student, '--prompt', 'a', '--system', 'b'])).toContain('--chat');
    expect(await refused([...student, '--prompt', 'a', '--adapter', folder], 1)).toContain('adapter_config.json');
    expect(await refused([...student, '--prompt', 'a', '--top-p', '0'])).toContain('top-p');
    expect(await refused(['--student', join(folder, 'nowhere'), '--prompt', 'a'], 1)).toContain('does not exist');
    const failing = (): never => {
      throw new PupilError('usage', 'talk: expected a student with a chat template, x has none', 'Give a text.');
    };
    const { code, err } = await pupil(['generate', ...student, '--chat', '--prompt', 'a'], { talk: failing });
    expect(code).toBe(2);
    expect(err).toContain('Give a text.');
  });
});

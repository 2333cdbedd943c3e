// talk.test.ts: talk with the bundled student over the real session: tokens as inspect generates them, pieces that make the
// answer, probabilities of a full forward, adapters put on in turn over one base, and every way in which it may end.
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { writeAdapterNote } from '../../../src/formats/adapterNote';
import { openCheckpoint } from '../../../src/formats/checkpointIndex';
import { writePeftAdapter } from '../../../src/formats/peft';
import type { Gpu } from '../../../src/gpu/device';
import { nodeGpu } from '../../../src/gpu/node';
import { Adapter } from '../../../src/model/adapter';
import { packSequences } from '../../../src/model/batch';
import { Student } from '../../../src/model/student';
import { Trainer } from '../../../src/model/trainer';
import { filesIn, loadAdapterFile } from '../../../src/recipes/files';
import { logSoftmax, topTokens } from '../../../src/reference/tokenLogps';
import type { TalkAnswer, TalkEvent, TalkRequest, TalkToken } from '../../../src/session/talkProtocol';
import { Session } from '../../../src/session/session';
import { openDiskRoot } from '../../../src/sources/disk';
import { MemoryRunStore } from '../../../src/storage/memory';
import { HuggingFaceTokenizer } from '../../../src/text/tokenizer';

const LESSON = join(import.meta.dirname, '../../../public/students/lesson');
const TEXT = 'Question: Tom has 3 pears and buys 4 more pears. How many pears does Tom have?\nAnswer:';
const LAYER = 'model.layers.1.self_attn.v_proj';
/** Turns of the made template end as the student's own texts do. */
const TEMPLATE =
  "{{ bos_token }}{% for m in messages %}{% if m.role == 'assistant' %}{{ m.content }}{{ eos_token }}{% else %}{{ m.content }}\n{% endif %}{% endfor %}";

const json = (path: string): unknown => JSON.parse(readFileSync(path, 'utf8'));

/** An adapter that changes what is said, without a meaning; `kind` makes it another one. */
const adapterFiles = (kind: number): Record<string, Uint8Array> =>
  writePeftAdapter({
    r: 1,
    alpha: 4,
    dropout: 0,
    rsLora: false,
    targetModules: [LAYER],
    baseModel: 'student',
    tensors: new Map([
      [
        LAYER,
        {
          a: { shape: [1, 128], data: Float32Array.from({ length: 128 }, (_, i) => Math.sin(i + kind)) },
          b: { shape: [128, 1], data: Float32Array.from({ length: 128 }, (_, i) => Math.cos(3 * i * (1 + kind))) },
        },
      ],
    ]),
  });

interface Talked {
  answer: TalkAnswer;
  pieces: Extract<TalkEvent, { type: 'piece' }>[];
  tokens: TalkToken[];
  events: TalkEvent[];
}

describe('talk', { timeout: 600_000 }, () => {
  const folder = mkdtempSync(join(tmpdir(), 'pupil-talk-'));
  const tokenizer = new HuggingFaceTokenizer({
    tokenizer: json(join(LESSON, 'tokenizer.json')),
    tokenizerConfig: json(join(LESSON, 'tokenizer_config.json')),
    generationConfig: json(join(LESSON, 'generation_config.json')),
  });
  const store = new MemoryRunStore();
  let session: Session;
  const files = { kind: 'disk' as const, directory: folder };
  const source = (name: string): unknown => ({ source: { kind: 'directory', path: name }, quantize: 'none' });

  beforeAll(async () => {
    cpSync(LESSON, join(folder, 'student'), { recursive: true });
    cpSync(LESSON, join(folder, 'chat'), { recursive: true });
    const config = json(join(LESSON, 'tokenizer_config.json')) as object;
    writeFileSync(join(folder, 'chat/tokenizer_config.json'), JSON.stringify({ ...config, chat_template: TEMPLATE }));
    for (let kind = 0; kind < 6; kind++) {
      cpSync(LESSON, join(folder, `adapter${kind}`), { recursive: true, filter: (path) => path === LESSON });
      for (const [name, bytes] of Object.entries(adapterFiles(kind))) {
        writeFileSync(join(folder, `adapter${kind}`, name), bytes);
        if (kind === 0) await store.saveArtefact('run', `adapters/instruct/${name}`, bytes);
      }
    }
    session = await freshSession();
  });
  afterAll(() => {
    session.close();
    rmSync(folder, { recursive: true });
  });

  async function freshSession(): Promise<Session> {
    const made = new Session(await nodeGpu(), store);
    await made.open({ tier: 'f32' });
    return made;
  }
  const gpuOf = (one: Session): Gpu => (one as unknown as { place: { current: Gpu } }).place.current;

  async function talk(
    change: Partial<TalkRequest> = {},
    onEvent: (event: TalkEvent) => void = () => undefined,
    on = session,
  ): Promise<Talked> {
    const events: TalkEvent[] = [];
    const asked = { files, student: source('student'), maxNewTokens: 24, ...change };
    const request = change.messages === undefined ? { text: TEXT, ...asked } : asked;
    const answer = await on.talk(request, (event) => {
      events.push(event);
      onEvent(event);
    });
    const pieces = events.filter((event) => event.type === 'piece');
    return { answer, pieces, tokens: pieces.flatMap((piece) => piece.tokens), events };
  }

  it('draws the tokens that inspect generates, told in pieces that make the answer', async () => {
    const ids = tokenizer.encode(TEXT, { addBos: true });
    const out: Record<string, Uint8Array> = {};
    writeFileSync(join(folder, 'prompts.json'), JSON.stringify([ids]));
    await session.inspect({
      kind: 'generate',
      files,
      out: { kind: 'memory', files: out },
      options: { student: 'student', prompts: 'prompts.json', out: 'out.json', maxNewTokens: 24, quantize: 'none' },
    });
    const [expected] = JSON.parse(new TextDecoder().decode(out['out.json'])) as { ids: number[]; stopped: string }[];
    const { answer, pieces, tokens, events } = await talk();
    expect(answer.ids).toEqual(expected!.ids);
    expect(answer.ids.length).toBeGreaterThan(3);
    expect(answer.stopped).toBe(expected!.stopped);
    expect(pieces.map(({ text }) => text).join('')).toBe(tokenizer.decode(answer.ids));
    expect(answer.text).toBe(tokenizer.decode(answer.ids));
    expect(tokens.filter(({ end }) => end !== true).map(({ id }) => id)).toEqual(answer.ids);
    expect(tokens.every((token) => !('logprob' in token))).toBe(true);
    expect(answer.usage).toEqual({ promptTokens: ids.length, newTokens: answer.ids.length });
    expect(answer.prompt).toBe(TEXT);
    expect(answer.tokensPerSecond).toBeGreaterThan(0);
    expect(events.filter(({ type }) => type === 'start')).toEqual([
      { type: 'start', promptTokens: ids.length, droppedMessages: 0, newTokenLimit: 24 },
    ]);
  });

  it('tells the log-probabilities of full forwards, of the untouched student and with an adapter, ≤ 1e-4', async () => {
    const plain = await talk();
    for (const adapter of [undefined, { path: 'adapter0' }]) {
      const { answer, tokens } = await talk({ topLogprobs: 4, ...(adapter === undefined ? {} : { adapter }) });
      if (adapter === undefined) expect(answer.ids).toEqual(plain.answer.ids);
      else expect(answer.ids).not.toEqual(plain.answer.ids);
      const gpu = gpuOf(session);
      const root = openDiskRoot(folder);
      const student = await Student.load(gpu, await openCheckpoint(filesIn(root, 'student'), 's'), {
        quantize: 'none',
      });
      const put =
        adapter === undefined ? undefined : Adapter.fromPeft(student, await loadAdapterFile(root, adapter.path));
      const limits = { tokens: 128, sequences: 1, targets: 128 };
      const trainer = new Trainer(student, put, { limits, scoringOnly: true });
      await trainer.ready();
      const prompt = tokenizer.encode(TEXT, { addBos: true });
      const drawn = tokens.map(({ id }) => id);
      const logits = await trainer.logits(packSequences([{ ids: [...prompt, ...drawn] }]));
      const V = student.config.vocabSize;
      let worst = 0;
      for (const [i, { id, logprob, alternatives }] of tokens.entries()) {
        const row = logits.subarray((prompt.length - 1 + i) * V, (prompt.length + i) * V);
        const all = logSoftmax(row);
        worst = Math.max(worst, Math.abs(all[id]! - logprob!));
        expect(alternatives!.map((one) => one.id)).toEqual(topTokens(row, 4));
        expect(alternatives![0]!.id).toBe(id); // greedy
        expect(alternatives!.every(({ text }) => text !== '')).toBe(true);
        for (const one of alternatives!) worst = Math.max(worst, Math.abs(all[one.id]! - one.logprob));
      }
      expect(worst).toBeLessThan(1e-4);
      trainer.destroy();
      put?.destroy();
      student.destroy();
    }
  });

  it('puts adapters on in turn over one base, with the bits of a fresh load', async () => {
    await session.check('rope', () => undefined); // nothing is loaded
    const load = vi.spyOn(Student, 'load');
    const gpu = gpuOf(session);
    const probed = { topLogprobs: 3, maxNewTokens: 8 };
    const systems: Partial<TalkRequest>[] = [
      probed,
      { ...probed, adapter: { path: 'adapter0' } },
      { ...probed, adapter: { path: 'adapter1' } },
    ];
    const first: Talked[] = [];
    for (const system of systems) first.push(await talk(system));
    expect(load).toHaveBeenCalledTimes(1);
    const created = gpu.account.buffersCreated;
    const seconds: number[] = [];
    for (const [i, system] of [...systems.entries()].reverse()) {
      const startedAt = performance.now();
      const again = await talk(system);
      seconds.push((performance.now() - startedAt) / 1000 - again.answer.seconds);
      expect(again.tokens).toEqual(first[i]!.tokens);
    }
    expect(gpu.account.buffersCreated).toBe(created); // everything was there: nothing is made by swapping
    expect(load).toHaveBeenCalledTimes(1);
    load.mockRestore();
    expect(Math.max(...seconds)).toBeLessThan(5); // milliseconds on an idle machine
    const texts = first.map(({ answer }) => answer.text);
    expect(new Set(texts).size).toBe(3);
    // A stored run's adapter with the same numbers says the same; a fresh session gives the same bits.
    const stored = await talk({ ...probed, adapter: { runId: 'run', system: 'Instruction-tuned' } });
    expect(stored.tokens).toEqual(first[1]!.tokens);
    const fresh = await freshSession();
    expect((await talk(systems[1]!, () => undefined, fresh)).tokens).toEqual(first[1]!.tokens);
    fresh.close();
  });

  it('keeps a bounded number of adapters, and other work has the device to itself', async () => {
    const gpu = gpuOf(session);
    const held: number[] = [];
    for (let kind = 0; kind < 6; kind++) {
      await talk({ adapter: { path: `adapter${kind}` }, maxNewTokens: 2 });
      held.push(gpu.account.current);
    }
    expect(held[5]).toBe(held[4]);
    await session.check('rope', () => undefined);
    expect(gpu.account.current).toBeLessThan(held[5]! / 2);
  });

  it('a text that ends the answer is left out, wherever the tokens cut it', async () => {
    const whole = await talk();
    const at = whole.answer.text.indexOf(' ', 4);
    const stop = whole.answer.text.slice(at - 2, at + 3);
    const { answer, pieces } = await talk({ stop: ['nowhere to be found', stop] });
    expect(answer.stopped).toBe('stop');
    expect(answer.text).toBe(whole.answer.text.slice(0, whole.answer.text.indexOf(stop)));
    expect(pieces.map(({ text }) => text).join('')).toBe(answer.text);
    expect(answer.ids.length).toBeLessThan(whole.answer.ids.length);
    expect((await talk({ stop: ['nowhere to be found'] })).answer).toMatchObject({
      text: whole.answer.text,
      stopped: whole.answer.stopped,
    });
  });

  it('draws by the seed', async () => {
    const drawn = async (seed: number): Promise<string> =>
      (await talk({ temperature: 1.5, topP: 0.98, seed })).answer.text;
    const one = await drawn(1);
    expect(await drawn(1)).toBe(one);
    expect(await drawn(2)).not.toBe(one);
  });

  it('takes turns by the student’s template, leaves the oldest out where the context is full, and ends at the turn', async () => {
    const student = source('chat');
    expect(await session.talkStudent({ files, student })).toMatchObject({ chat: true, contextTokens: 192 });
    const user = { role: 'user' as const, content: 'How many pears does Tom have?' };
    const assistant = { role: 'assistant' as const, content: 'Tom has 3 pears.' };
    const { answer } = await talk({ student, messages: [user, assistant, user] });
    expect(answer.prompt).toBe(`<bos>${user.content}\n${assistant.content}<eos>${user.content}\n`);
    expect(answer.droppedMessages).toBe(0);
    expect(answer.usage.promptTokens).toBe(tokenizer.encode(answer.prompt).length);
    const system = { role: 'system' as const, content: 'The pears are ripe.' };
    const long = Array.from({ length: 20 }, () => [user, assistant]).flat();
    const cut = await talk({ student, messages: [system, ...long, user] });
    expect(cut.answer.droppedMessages).toBeGreaterThan(0);
    expect(cut.answer.droppedMessages % 2).toBe(0);
    expect(cut.answer.prompt.startsWith(`<bos>${system.content}\n${user.content}\n`)).toBe(true);
    expect(cut.answer.usage.promptTokens).toBeLessThanOrEqual(192 - 24);
    const needed = tokenizer.encode(`${user.content}\n${assistant.content}<eos>`).length;
    expect(cut.answer.usage.promptTokens + needed).toBeGreaterThan(192 - 24); // no more than had to go
  });

  it('stops as asked in the middle, gives what is there, and goes on afterwards as before', async () => {
    const whole = await talk();
    let pieces = 0;
    const cut = await talk({}, (event) => {
      if (event.type === 'piece' && ++pieces === 3) void session.stop();
    });
    expect(cut.answer.stopped).toBe('cancelled');
    expect(cut.answer.ids.length).toBeLessThan(whole.answer.ids.length);
    expect(cut.answer.text.length).toBeGreaterThan(0);
    expect(whole.answer.text.startsWith(cut.answer.text)).toBe(true);
    expect(cut.pieces.map(({ text }) => text).join('')).toBe(cut.answer.text);
    expect((await talk()).answer.text).toBe(whole.answer.text);
    await session.check('rope', () => undefined); // nothing is loaded
    const ended = expect(talk()).rejects.toMatchObject({ code: 'cancelled' });
    await session.stop();
    await ended;
    expect((await talk()).answer.text).toBe(whole.answer.text);
  });

  it('one talk at a time; the second is refused clearly', async () => {
    const one = talk();
    await expect(talk()).rejects.toMatchObject({
      code: 'usage',
      message: expect.stringContaining('busy with talk') as string,
    });
    await one;
  });

  it('says what the student does not know, and why an answer is short', async () => {
    const { answer } = await talk({ text: 'The quokka has 3 pears' });
    expect(answer.unknownWords).toEqual(['quokka']);
    const nearly = TEXT.repeat(8);
    const room = 192 - tokenizer.encode(nearly, { addBos: true }).length;
    expect(room).toBeGreaterThan(0);
    const short = await talk({ text: nearly, maxNewTokens: 100 });
    expect(short.answer.ids.length).toBeLessThanOrEqual(room);
    if (short.answer.stopped === 'length') expect(short.answer.notes[0]).toContain('context of 192 tokens');
  });

  it('refuses what it cannot answer, by name', async () => {
    const refused = (change: Partial<TalkRequest>): Promise<unknown> => talk(change).catch((error: unknown) => error);
    expect(await refused({ messages: [{ role: 'user', content: 'Hello' }] })).toMatchObject({
      code: 'usage',
      message: 'talk: expected a student with a chat template, student has none',
      hint: expect.stringContaining('completion') as string,
    });
    const student = source('chat');
    const messages = [{ role: 'user' as const, content: 'Tom has pears. '.repeat(80) }];
    expect(await refused({ student, messages })).toMatchObject({ code: 'usage' });
    expect(await refused({ student, messages: [{ role: 'assistant', content: 'Yes' }] })).toMatchObject({
      code: 'usage',
    });
    expect(await refused({ text: TEXT.repeat(20) })).toMatchObject({ code: 'usage' });
    for (const change of [
      { maxNewTokens: 0 },
      { temperature: -1 },
      { topK: 0.5 },
      { topP: 0 },
      { seed: -1 },
      { stop: [''] },
      { topLogprobs: 11 },
      { adapter: { runId: '../x', system: 'Self-refined' as const } },
    ]) {
      const error = await refused(change);
      expect(error, JSON.stringify(change)).toMatchObject({ code: expect.stringMatching(/usage|storage/) as string });
    }
    expect(await refused({ student: { source: { kind: 'nowhere' } } })).toMatchObject({ code: 'config' });
    expect(await refused({ adapter: { path: 'student' } })).toMatchObject({ code: expect.any(String) as string });
    expect(await refused({ adapter: { runId: 'run', system: 'Self-refined' } })).toMatchObject({ code: 'storage' });
    const note = writeAdapterNote({ runId: 'x', student: { source: 'x', fingerprint: 'ffff', quantize: 'none' } });
    writeFileSync(join(folder, 'adapter5', 'pupil.json'), Object.values(note)[0]!);
    await session.check('rope', () => undefined);
    expect(await refused({ adapter: { path: 'adapter5' } })).toMatchObject({ code: 'checkpoint' });
    expect((await talk()).answer.text).not.toBe(''); // and goes on
  });
});

// teacherModel.test.ts: the teacher in the browser, in its worker: an ONNX file of the bundled student, made here, answers
// through transformers.js and onnxruntime-web as our own engine does, token for token, on WebAssembly and (where all tests run) on WebGPU; wrong files and hosts are told apart.
import { afterAll, beforeAll, describe, expect, inject, it, vi } from 'vitest';
import { createTeacherModelClient, type TeacherModelClient } from '../../src/app/client';
import { openCheckpoint } from '../../src/formats/checkpointIndex';
import { browserGpu, Gpu } from '../../src/gpu/device';
import { Generator } from '../../src/model/generator';
import { Student } from '../../src/model/student';
import { filesIn } from '../../src/recipes/files';
import { loadTokenizer } from '../../src/session/tokenizers';
import type { TeacherAnswerRequest, TeacherModelProgress } from '../../src/session/protocol';
import { openMemoryRoot } from '../../src/sources/memory';
import { lessonItems } from '../../src/tasks/lesson/families';
import { choicePrompt, COT_TRIGGER } from '../../src/tasks/task';
import { BrowserModel } from '../../src/teachers/browserModel';
import { lessonOnnx } from './lessonOnnx';

const PROMPTS = lessonItems('kinds', 'development', { count: 4, seed: 0 }).map(
  (item) => `${choicePrompt(item)} ${COT_TRIGGER}\nThe thing that`,
);
const GREEDY = { maxNewTokens: 72, temperature: 0, seed: 0 };

let student: Record<string, Uint8Array>;
/** What is picked: the Hub's layout, without our safetensors. */
let files: Record<string, Blob>;

beforeAll(async () => {
  ({ student, files } = await lessonOnnx());
});

/** The same by our own engine, over the same weights. */
async function ours(prompts: readonly string[]): Promise<{ text: string; tokens: number }[]> {
  const root = openMemoryRoot(student);
  const gpu = await Gpu.acquire(browserGpu());
  const model = await Student.load(gpu, await openCheckpoint(root.open, 'lesson'), { quantize: 'none' });
  const { tokenizer } = await loadTokenizer({ kind: 'student' }, root, filesIn(root, ''));
  const generator = new Generator(model, undefined, {
    batchSize: prompts.length,
    maxPromptTokens: 96,
    maxNewTokens: GREEDY.maxNewTokens,
    temperature: 0,
    eosIds: tokenizer.eosIds,
  });
  await generator.ready();
  const ids = prompts.map((prompt) => tokenizer.encode(prompt, { addBos: true }));
  const answers = await generator.generate(ids, { seed: 0, stream: 'teacher' });
  gpu.destroy();
  return answers.map((answer) => ({ text: tokenizer.decode(answer.ids).trim(), tokens: answer.ids.length }));
}

describe('a teacher in the browser', () => {
  let teacher: TeacherModelClient;
  const progress: TeacherModelProgress[] = [];
  const ask = (change: Partial<TeacherAnswerRequest> = {}) =>
    teacher.answer({ prompt: PROMPTS[0]!, ...GREEDY, ...change });
  const load = (picked: Record<string, Blob>) =>
    teacher.load({ source: { kind: 'files', name: 'lesson', files: picked }, device: 'auto', dtype: 'fp32' }, (one) =>
      progress.push(one),
    );
  beforeAll(() => (teacher = createTeacherModelClient()) && undefined);
  afterAll(() => teacher.terminate());

  it('answers nothing before a model is loaded', async () => {
    await expect(ask()).rejects.toMatchObject({ code: 'teacher', message: expect.stringContaining('there is none') });
  });

  it('names what is missing or damaged among picked files, and loads good ones afterwards', async () => {
    const { 'onnx/model.onnx': onnx, ...rest } = files;
    await expect(load(rest)).rejects.toMatchObject({ code: 'teacher', hint: expect.stringContaining('onnx/') });
    await expect(load({ ...files, 'onnx/model.onnx': onnx!.slice(0, 5000) })).rejects.toMatchObject({
      code: 'teacher',
      message: expect.stringContaining('did not load'),
    });
    const { 'config.json': _, ...headless } = files;
    await expect(load(headless)).rejects.toMatchObject({ code: 'teacher' });
    await expect(load(files)).resolves.toEqual({
      name: 'lesson',
      device: 'wasm',
      dtype: 'fp32',
      fallback: 'WebGPU has a software adapter only',
      chatTemplate: false,
    });
    const weights = progress.filter(({ file }) => file === 'onnx/model.onnx').at(-1);
    expect(weights).toMatchObject({
      loadedBytes: files['onnx/model.onnx']!.size,
      totalBytes: files['onnx/model.onnx']!.size,
    });
  });

  it('says what our own engine says, token for token', async () => {
    const answers = [];
    for (const prompt of PROMPTS) answers.push(await ask({ prompt }));
    expect(answers.map(({ text, newTokens }) => ({ text, tokens: newTokens }))).toEqual(
      (await ours(PROMPTS)).map(({ text, tokens }) => ({ text, tokens: tokens + 1 })), // ours do not count the end
    );
    expect(answers.every(({ newTokens }) => newTokens > 30)).toBe(true);
    expect(answers.every(({ stopped }) => stopped === 'eos')).toBe(true);
  });

  it.runIf(inject('long'))('says the same on WebGPU', async () => {
    const loaded = await teacher.load(
      { source: { kind: 'files', name: 'lesson', files }, device: 'webgpu', dtype: 'fp32' },
      () => undefined,
    );
    expect(loaded).toMatchObject({ device: 'webgpu', dtype: 'fp32' });
    // One answer: on a software adapter it takes half a minute.
    const { text, newTokens } = await ask();
    const [expected] = await ours(PROMPTS.slice(0, 1));
    expect({ text, tokens: newTokens }).toEqual({ text: expected!.text, tokens: expected!.tokens + 1 });
    await load(files);
  });

  it('samples by its seed', async () => {
    const warm = { temperature: 1.5, maxNewTokens: 24 };
    const [a, again, b] = [
      await ask({ ...warm, seed: 1 }),
      await ask({ ...warm, seed: 1 }),
      await ask({ ...warm, seed: 2 }),
    ];
    expect(again).toEqual(a);
    expect(b.text).not.toBe(a.text);
  });

  it('stops at the limit, and when it is told to', async () => {
    expect(await ask({ maxNewTokens: 2, temperature: 1.5, seed: 1 })).toMatchObject({
      newTokens: 2,
      stopped: 'length',
    });
    const long = ask({ maxNewTokens: 72, temperature: 50, seed: 3 });
    let ended = false; // before it has begun there is nothing to interrupt
    void long.finally(() => (ended = true));
    while (!ended) {
      await teacher.interrupt();
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    expect((await long).stopped).toBe('interrupted');
  });

  it('puts prompts into a chat template where the model has one', async () => {
    const config = JSON.parse(await files['tokenizer_config.json']!.text()) as object;
    const templated = {
      ...config,
      chat_template: '{{ messages[-1].content }}{% for m in messages %}{{ " owl" }}{% endfor %}',
    };
    const loaded = await load({ ...files, 'tokenizer_config.json': new Blob([JSON.stringify(templated)]) });
    expect(loaded.chatTemplate).toBe(true);
    const one = await ask({ prompt: 'cod', maxNewTokens: 1 });
    const two = await ask({ prompt: 'cod', system: 'bee', maxNewTokens: 1 });
    expect(two.promptTokens).toBe(one.promptTokens + 1);
  });

  it('after unloading there is none again', async () => {
    await teacher.unload();
    await expect(ask()).rejects.toMatchObject({ code: 'teacher' });
  });
});

describe('a model of the Hub', () => {
  it('is asked for at the host, with its revision; the token goes nowhere else', async () => {
    const asked: { url: string; token: string | null }[] = [];
    const real = globalThis.fetch;
    vi.stubGlobal('fetch', (input: RequestInfo | URL, init?: RequestInit) => {
      const url = input instanceof Request ? input.url : String(input);
      if (!url.startsWith('https://mirror.invalid/')) return real(input, init);
      asked.push({ url, token: new Headers(init?.headers).get('authorization') });
      const file = /\/resolve\/[^/]+\/(.+)$/.exec(new URL(url).pathname)?.[1] ?? '';
      const blob = files[file];
      return Promise.resolve(blob === undefined ? new Response(null, { status: 404 }) : new Response(blob));
    });
    try {
      const runtime = (name: string): string => `${location.origin}/node_modules/onnxruntime-web/dist/${name}`;
      const model = new BrowserModel(
        {
          mjs: runtime('ort-wasm-simd-threaded.asyncify.mjs'),
          wasm: runtime('ort-wasm-simd-threaded.asyncify.wasm'),
        },
        () => Promise.resolve('not here'),
      );
      const source = {
        kind: 'hub',
        repository: 'somebody/lesson',
        revision: 'abc',
        token: 'hf_secret',
        host: 'https://mirror.invalid',
      } as const;
      const loaded = await model.load({ source, device: 'auto', dtype: 'fp32' }, () => undefined);
      expect(loaded).toMatchObject({ name: 'somebody/lesson', device: 'wasm' });
      expect((await model.answer({ prompt: PROMPTS[0]!, ...GREEDY })).stopped).toBe('eos');
      expect(asked.map(({ url }) => url)).toContain(
        'https://mirror.invalid/somebody/lesson/resolve/abc/onnx/model.onnx',
      );
      expect(new Set(asked.map(({ token }) => token))).toEqual(new Set(['Bearer hf_secret']));
      await model.unload();
    } finally {
      vi.unstubAllGlobals();
      await caches.delete('transformers-cache');
    }
  });
});

// browserModel.ts: the teacher that runs in the browser itself: a text-generation model in ONNX form, through
// @huggingface/transformers on onnxruntime-web (WebGPU where there is an adapter, else WebAssembly). It answers one prompt at
// a time and knows no tasks. The library is megabytes and its runtime tens of them: both are loaded when a model is.
import type {
  InterruptableStoppingCriteria as Interrupter,
  PreTrainedModel,
  PreTrainedTokenizer,
  Tensor,
} from '@huggingface/transformers';
import { PupilError } from '../base/errors';
import type { TeacherDtype } from '../config/browserProvider';
import { expectFiles, loadError, wordsOf } from './browserModelErrors';

type Library = typeof import('@huggingface/transformers');

export interface TeacherModelRequest {
  source:
    | {
        kind: 'hub';
        /** "HuggingFaceTB/SmolLM2-135M-Instruct": with ONNX weights in its folder onnx/. */
        repository: string;
        revision?: string;
        /** Sent to the Hub's host alone, kept nowhere. */
        token?: string;
        /** A mirror with the Hub's layout, in place of huggingface.co. */
        host?: string;
      }
    | {
        kind: 'files';
        name: string;
        /** By the paths of the Hub's layout: config.json, tokenizer.json, onnx/model_q4.onnx, … */
        files: Readonly<Record<string, Blob>>;
      };
  /** auto: WebGPU where this browser has a real adapter. A model that fails there is not tried again on WebAssembly. */
  device: 'auto' | 'webgpu' | 'wasm';
  dtype: TeacherDtype;
}

export interface LoadedTeacherModel {
  name: string;
  device: 'webgpu' | 'wasm';
  dtype: TeacherDtype;
  /** Why it is not on WebGPU, where that was asked for first. */
  fallback?: string;
  /** Whether prompts are put into the model's own chat template. */
  chatTemplate: boolean;
}

/** Bytes of one file, as they arrive. */
export interface TeacherModelProgress {
  file: string;
  loadedBytes: number;
  totalBytes: number;
}

export interface TeacherAnswerRequest {
  prompt: string;
  system?: string;
  maxNewTokens: number;
  /** 0: the most probable token. */
  temperature: number;
  /** Of the sampling; the same on one device gives the same text. */
  seed: number;
}

export interface TeacherAnswer {
  text: string;
  promptTokens: number;
  newTokens: number;
  /** Whether the model ended by itself, or at the limit of tokens, or was stopped. */
  stopped: 'eos' | 'length' | 'interrupted';
}

/** What a page or a recipe does with a model that runs in a worker. */
export interface TeacherModelApi {
  /**
   * Loads a model in place of the one before.
   * @throws PupilError `teacher`: files that are missing, damaged or of another kind, no network, no memory. Afterwards
   *   another object in a new worker is needed, since the library may load no other model.
   */
  load(request: TeacherModelRequest, onProgress: (progress: TeacherModelProgress) => void): Promise<LoadedTeacherModel>;
  /** Requests are answered one after the other. */
  answer(request: TeacherAnswerRequest): Promise<TeacherAnswer>;
  /** Ends the answer under way after its next token. */
  interrupt(): Promise<void>;
  unload(): Promise<void>;
}

/** Where the runtime's two files are served: those of the version that the library was built for. */
export interface RuntimeFiles {
  mjs: string;
  wasm: string;
}

/** The host under which picked files are asked for; nothing is ever sent to it. */
const PICKED_HOST = 'http://picked.invalid/';

interface Loaded {
  tokenizer: PreTrainedTokenizer;
  model: PreTrainedModel;
  endIds: ReadonlySet<number>;
}

export class BrowserModel implements TeacherModelApi {
  private library: Promise<Library> | undefined;
  private loaded: Loaded | undefined;
  private interrupter: Interrupter | undefined;
  /** One thing after the other: the library's settings are global, and a model answers one prompt at a time. */
  private last: Promise<unknown> = Promise.resolve();

  /** @param whyNoWebGpu why a model had better not be on this browser's WebGPU, in words; undefined where it had. */
  constructor(
    private readonly runtime: RuntimeFiles,
    private readonly whyNoWebGpu: () => Promise<string | undefined>,
  ) {}

  load(
    request: TeacherModelRequest,
    onProgress: (progress: TeacherModelProgress) => unknown,
  ): Promise<LoadedTeacherModel> {
    return this.inTurn(async () => {
      await this.dispose();
      if (request.source.kind === 'files') expectFiles(request.source, request.dtype);
      const library = await this.import();
      const name = request.source.kind === 'hub' ? request.source.repository : request.source.name;
      const revision = setSource(library, request.source);
      const { device, fallback } = await this.deviceFor(request.device);
      const options = {
        revision,
        progress_callback: (info: { status: string; file?: string; loaded?: number; total?: number }) => {
          if (info.status !== 'progress') return;
          onProgress({ file: info.file ?? '', loadedBytes: info.loaded ?? 0, totalBytes: info.total ?? 0 });
        },
      };
      try {
        const tokenizer = await library.AutoTokenizer.from_pretrained(name, options);
        const model = await library.AutoModelForCausalLM.from_pretrained(name, {
          ...options,
          dtype: request.dtype,
          device,
        });
        letMessagesIn(model);
        this.loaded = { tokenizer, model, endIds: endIdsOf(model, tokenizer) };
        return {
          name,
          device,
          dtype: request.dtype,
          ...(fallback === undefined ? {} : { fallback }),
          chatTemplate: hasChatTemplate(tokenizer),
        };
      } catch (cause) {
        const where = request.source.kind === 'hub' ? `the repository ${name}` : `the picked folder ${name}`;
        throw loadError(where, { dtype: request.dtype, device }, cause);
      }
    });
  }

  answer(request: TeacherAnswerRequest): Promise<TeacherAnswer> {
    return this.inTurn(async () => {
      const { loaded } = this;
      if (loaded === undefined) {
        throw new PupilError('teacher', 'teacher model: expected a loaded model, there is none', 'Load one first.');
      }
      const library = await this.import();
      return this.generate(library, loaded, request);
    });
  }

  interrupt(): Promise<void> {
    this.interrupter?.interrupt();
    return Promise.resolve();
  }

  unload(): Promise<void> {
    return this.inTurn(() => this.dispose());
  }

  private async generate(library: Library, loaded: Loaded, request: TeacherAnswerRequest): Promise<TeacherAnswer> {
    const { tokenizer, model, endIds } = loaded;
    const { maxNewTokens, temperature, seed } = request;
    const inputs = encode(tokenizer, request);
    const promptTokens = inputs.input_ids.dims.at(-1)!;
    this.interrupter = new library.InterruptableStoppingCriteria();
    library.random.seed(seed);
    try {
      const output = (await model.generate({
        ...inputs,
        max_new_tokens: maxNewTokens,
        do_sample: temperature > 0,
        ...(temperature > 0 ? { temperature, top_k: 0, top_p: 1 } : {}),
        stopping_criteria: this.interrupter,
      } as Parameters<PreTrainedModel['generate']>[0])) as Tensor;
      const ids = Array.from(output.data as BigInt64Array, Number).slice(promptTokens);
      const ended = ids.length > 0 && endIds.has(ids.at(-1)!);
      return {
        text: tokenizer.decode(ended ? ids.slice(0, -1) : ids, { skip_special_tokens: true }).trim(),
        promptTokens,
        newTokens: ids.length,
        stopped: ended ? 'eos' : this.interrupter.interrupted ? 'interrupted' : 'length',
      };
    } catch (cause) {
      throw new PupilError(
        'teacher',
        `teacher model: the answer to a prompt of ${promptTokens} tokens failed: ${wordsOf(cause)}`,
        'A smaller model, shorter answers, or device "wasm" may do.',
        { cause },
      );
    } finally {
      this.interrupter = undefined;
    }
  }

  /** The device that was asked for, or the one that is there. */
  private async deviceFor(
    asked: TeacherModelRequest['device'],
  ): Promise<{ device: 'webgpu' | 'wasm'; fallback?: string }> {
    if (asked !== 'auto') return { device: asked };
    const fallback = await this.whyNoWebGpu();
    return fallback === undefined ? { device: 'webgpu' } : { device: 'wasm', fallback };
  }

  private async dispose(): Promise<void> {
    const { loaded } = this;
    this.loaded = undefined;
    await loaded?.model.dispose();
  }

  /** The library, with its runtime from our own server: it would fetch it from a CDN. */
  private import(): Promise<Library> {
    this.library ??= import('@huggingface/transformers').then((library) => {
      const { wasm } = library.env.backends.onnx;
      if (wasm !== undefined) wasm.wasmPaths = { ...this.runtime };
      library.env.useWasmCache = false; // our server's files are cached as the page's other files are
      library.env.allowLocalModels = false; // "local" means a path on the page's own server
      library.env.logLevel = library.LogLevel.ERROR;
      return library;
    });
    return this.library;
  }

  private inTurn<T>(work: () => Promise<T>): Promise<T> {
    const mine = this.last.then(work);
    this.last = mine.catch(() => undefined);
    return mine;
  }
}

/** Points the library at a repository or at picked files. Returns the revision to ask for. */
function setSource({ env }: Library, source: TeacherModelRequest['source']): string {
  if (source.kind === 'hub') {
    const { token, revision = 'main', host = 'https://huggingface.co/' } = source;
    const base = new URL(host.endsWith('/') ? host : `${host}/`);
    env.remoteHost = base.href;
    env.useBrowserCache = typeof caches !== 'undefined';
    env.fetch = (input, init: RequestInit = {}) => {
      const headers = new Headers(init.headers);
      // A redirect leads to a storage host: browsers drop the header there by themselves.
      if (token !== undefined && new URL(input).origin === base.origin) headers.set('Authorization', `Bearer ${token}`);
      return fetch(input, { ...init, headers });
    };
    return revision;
  }
  env.remoteHost = PICKED_HOST;
  env.useBrowserCache = false;
  env.fetch = (input) => {
    const file = /\/resolve\/[^/]+\/(.+)$/.exec(decodeURIComponent(new URL(input).pathname))?.[1];
    const blob = file !== undefined && Object.hasOwn(source.files, file) ? source.files[file] : undefined;
    if (blob === undefined) return Promise.resolve(new Response(null, { status: 404, statusText: 'not picked' }));
    return Promise.resolve(new Response(blob, { headers: { 'content-length': String(blob.size) } }));
  };
  return 'main';
}

const hasChatTemplate = (tokenizer: PreTrainedTokenizer): boolean =>
  typeof (tokenizer as { chat_template?: unknown }).chat_template === 'string' ||
  Array.isArray((tokenizer as { chat_template?: unknown }).chat_template);

function encode(
  tokenizer: PreTrainedTokenizer,
  { prompt, system }: TeacherAnswerRequest,
): { input_ids: Tensor; attention_mask: Tensor } {
  if (!hasChatTemplate(tokenizer)) {
    return tokenizer(system === undefined ? prompt : `${system}\n\n${prompt}`) as ReturnType<typeof encode>;
  }
  const messages = [
    ...(system === undefined ? [] : [{ role: 'system', content: system }]),
    { role: 'user', content: prompt },
  ];
  return tokenizer.apply_chat_template(messages, { add_generation_prompt: true, return_dict: true }) as ReturnType<
    typeof encode
  >;
}

/** The ids that end an answer: a model may have several. */
function endIdsOf(model: PreTrainedModel, tokenizer: PreTrainedTokenizer): ReadonlySet<number> {
  const { generation_config: config } = model as { generation_config?: { eos_token_id?: number | number[] | null } };
  const named = config?.eos_token_id ?? (tokenizer as { eos_token_id?: number | null }).eos_token_id;
  return new Set(named === null || named === undefined ? [] : [named].flat());
}

/**
 * On WebAssembly a whole answer is one chain of microtasks, in which no message arrives, not even that it shall end: every
 * token waits for one turn of the event loop. (A timer would wait four milliseconds.)
 */
function letMessagesIn(model: PreTrainedModel): void {
  const forward = model.forward.bind(model);
  const { port1, port2 } = new MessageChannel();
  let wake: () => void = () => undefined;
  port1.onmessage = () => wake();
  model.forward = async (inputs: Parameters<typeof forward>[0]) => {
    await new Promise<void>((resolve) => {
      wake = resolve;
      port2.postMessage(null);
    });
    return forward(inputs);
  };
}

// teacher.worker.ts: the worker of a teacher that runs in this browser, apart from the session's: a model that thinks for
// seconds must not hold up training. It says where the runtime's files are; what a model does is in teachers/browserModel.ts.
import { expose } from 'comlink';
// Of the version that @huggingface/transformers pins: it is no dependency of ours, so that the two cannot differ.
import runtimeMjs from 'onnxruntime-web/ort-wasm-simd-threaded.asyncify.mjs?url';
import runtimeWasm from 'onnxruntime-web/ort-wasm-simd-threaded.asyncify.wasm?url';
import { browserGpu, isSoftware } from '../gpu/device';
import { BrowserModel, type TeacherModelApi } from '../teachers/browserModel';
import { answering, TEACHER_METHODS } from './answering';

/** Addresses of a build begin at the page's folder, in development at its host. */
const absolute = (url: string): string => new URL(url, self.location.href).href;

/** The runtime asks the browser for an adapter of its own: here it is only looked at. */
async function whyNoWebGpu(): Promise<string | undefined> {
  try {
    const adapter = await browserGpu().requestAdapter();
    if (adapter === null) return 'WebGPU has no adapter here';
    return isSoftware(adapter.info) ? 'WebGPU has a software adapter only' : undefined;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

expose(
  answering<TeacherModelApi, keyof TeacherModelApi>(
    () => new BrowserModel({ mjs: absolute(runtimeMjs), wasm: absolute(runtimeWasm) }, whyNoWebGpu),
    TEACHER_METHODS,
  ),
);

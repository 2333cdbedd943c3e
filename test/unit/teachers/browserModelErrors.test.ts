// browserModelErrors.test.ts: what is said where a model does not load in a browser: the library's own words, and what to do.
import { describe, expect, it } from 'vitest';
import { expectFiles, loadError } from '../../../src/teachers/browserModelErrors';

describe('a model that does not load', () => {
  it.each([
    ['Unsupported model type: bert', 'no text-generation model'],
    ['Could not locate file: "https://huggingface.co/a/b/resolve/main/onnx/model_q4.onnx".', 'onnx/model_q4.onnx'],
    ['Unauthorized access to file: "https://huggingface.co/a/b/resolve/main/config.json".', 'check the name'],
    ['Failed to fetch', 'Is there a network?'],
    ["Can't create a session. ERROR_CODE: 6, std::bad_alloc", 'smaller model'],
    ['Array buffer allocation failed', 'smaller model'],
    ['The device (webgpu) does not support fp16.', '16-bit'],
    ['something else', 'Device wasm'],
  ])('%s', (said, hint) => {
    const error = loadError('the repository a/b', { dtype: 'q4', device: 'webgpu' }, new Error(said));
    expect(error).toMatchObject({ code: 'teacher', hint: expect.stringContaining(hint) });
    expect(error.message).toContain(said);
  });
});

describe('a picked folder', () => {
  const folder = (...paths: string[]) => ({
    name: 'm',
    files: Object.fromEntries(paths.map((path) => [path, new Blob([])])),
  });
  const whole = ['config.json', 'tokenizer.json', 'tokenizer_config.json', 'onnx/model_q4.onnx'];

  it('that is whole is taken; otherwise all that is missing is named, and the weights that are there', () => {
    expect(() => expectFiles(folder(...whole), 'q4')).not.toThrow();
    expect(() => expectFiles(folder('config.json'), 'q4')).toThrow(
      /missing: tokenizer\.json, tokenizer_config\.json, onnx\/model_q4\.onnx$/,
    );
    expect(() => expectFiles(folder(...whole), 'fp32')).toThrow(
      expect.objectContaining({ hint: 'Weights of dtype q4 are there: choose one of these.' }),
    );
    expect(() => expectFiles(folder(...whole.slice(1)), 'q4')).toThrow(
      expect.objectContaining({ hint: expect.stringContaining('whole folder') }),
    );
  });
});

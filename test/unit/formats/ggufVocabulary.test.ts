// Claims about formats/ggufVocabulary.ts and its helpers: from the metadata alone, read by a reader of the specification and
// tokenised by an independent BPE, the ids are those that llama.cpp and transformers give; names of pre-tokenizers are those of
// llama.cpp's converter; what cannot be said is refused or told.
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { writeGguf } from '../../../src/formats/gguf';
import { ggufVocabulary, type TokenizerParts } from '../../../src/formats/ggufVocabulary';
import { readSentencePiece } from '../../../src/formats/sentencePiece';
import { HuggingFaceTokenizer } from '../../../src/text/tokenizer';
import { anyText, bytesAt, DATA, expectRefusal, jsonAt, onlyPupilErrors, text } from './files';
import { collect, readGguf, type ReadGguf } from './ggufReader';
import { ggufTokenize } from './ggufTokenize';
import fc from 'fast-check';

type Json = Record<string, unknown>;

async function vocabulary(
  parts: Partial<TokenizerParts>,
  vocabSize: number,
): Promise<{ metadata: ReadGguf['metadata']; notes: string[] }> {
  const { tokenizer, config = {} } = parts;
  const made = await ggufVocabulary(
    {
      tokenizer,
      config,
      sentencePiece: undefined,
      model: {},
      chatTemplate: undefined,
      encode: (value) =>
        new HuggingFaceTokenizer({ tokenizer, tokenizerConfig: config }).encode(value, { addBos: true }),
      ...parts,
    },
    vocabSize,
  );
  const file = await collect(writeGguf(new Map(made.metadata), [], () => collectNothing()).parts());
  return { metadata: readGguf(file).metadata, notes: made.notes };
}

async function* collectNothing(): AsyncGenerator<Uint8Array> {
  yield await Promise.resolve(new Uint8Array(0));
}

const valueOf = (metadata: ReadGguf['metadata'], key: string): unknown => metadata.get(`tokenizer.${key}`)?.value;

/** A byte-level tokenizer.json as Qwen2.5 and Llama-3 have it, from the files of the older form. */
function byteLevel(vocab: Json, merges: string[], expression: string, changes: Json = {}): Json {
  return {
    version: '1.0',
    added_tokens: [],
    normalizer: null,
    pre_tokenizer: {
      type: 'Sequence',
      pretokenizers: [
        { type: 'Split', pattern: { Regex: expression }, behavior: 'Isolated', invert: false },
        { type: 'ByteLevel', add_prefix_space: false, trim_offsets: false, use_regex: false },
      ],
    },
    post_processor: { type: 'ByteLevel', add_prefix_space: false, trim_offsets: false, use_regex: false },
    decoder: { type: 'ByteLevel', add_prefix_space: false, trim_offsets: false, use_regex: false },
    model: { type: 'BPE', vocab, merges, byte_fallback: false },
    ...changes,
  };
}
const QWEN =
  "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+";

function qwen(): Json {
  const folder = `${DATA}/tokenizers/qwen2.5`;
  const merges = readFileSync(`${folder}/merges.txt`, 'utf8')
    .split('\n')
    .filter((line) => /^\S+ \S+$/.test(line));
  return byteLevel(jsonAt(`${folder}/vocab.json`), merges, QWEN, { normalizer: { type: 'NFC' } });
}

/** Ids that llama.cpp itself gives (its models/*.gguf.out). */
function llamaCpp(name: string): [string, number[]][] {
  const golden = jsonAt(`${DATA}/tokenizers/golden_llamacpp_ascii.json`) as {
    inputs: string[];
    ids: Record<string, number[][]>;
  };
  const key = Object.keys(golden.ids).find((title) => title.startsWith(name))!;
  return golden.inputs.map((input, i) => [input, golden.ids[key]![i]!]);
}

/** Ids that transformers gives 83 texts in many scripts. */
function multilingual(name: string): [string, number[]][] {
  const inputs = JSON.parse(readFileSync(`${DATA}/tokenizers/golden_multilingual/inputs.json`, 'utf8')) as {
    id: string;
    text: string;
  }[];
  const { entries } = jsonAt(`${DATA}/tokenizers/golden_multilingual/${name}_multilingual.json`) as {
    entries: { id: string; input_ids: number[] }[];
  };
  return entries.map(({ id, input_ids: ids }) => [inputs.find((input) => input.id === id)!.text, ids]);
}

function expectIds(metadata: ReadGguf['metadata'], cases: readonly [string, number[]][]): void {
  expect(cases.length).toBeGreaterThan(0);
  for (const [input, ids] of cases) expect(ggufTokenize(metadata, input), JSON.stringify(input)).toEqual(ids);
}

describe.skipIf(DATA === undefined)('real tokenizers (needs PUPIL_DATA)', () => {
  it('SmolLM2: named smollm by its ids; llama.cpp’s ids; control tokens; no bos is added', async () => {
    const folder = `${DATA}/tokenizers/smollm2`;
    const config = jsonAt(`${folder}/tokenizer_config.json`);
    const { metadata, notes } = await vocabulary({ tokenizer: jsonAt(`${folder}/tokenizer.json`), config }, 49_153);
    expect(valueOf(metadata, 'ggml.pre')).toBe('smollm');
    expect(notes).toEqual([]);
    expectIds(metadata, llamaCpp('smollm'));
    const types = valueOf(metadata, 'ggml.token_type') as number[];
    const tokens = valueOf(metadata, 'ggml.tokens') as string[];
    expect(types[tokens.indexOf('<|im_end|>')]).toBe(3);
    expect(types[tokens.indexOf('Ġthe')]).toBe(1);
    expect(valueOf(metadata, 'ggml.add_bos_token')).toBe(false);
    expect(valueOf(metadata, 'chat_template')).toBe(config['chat_template']);
    const eos = tokens.indexOf(String(config['eos_token']));
    expect(valueOf(metadata, 'ggml.eos_token_id')).toBe(eos);
  });

  it('Qwen2.5: named qwen2 by its ids; ids of llama.cpp and transformers; the embedding’s further rows are unused', async () => {
    const config = jsonAt(`${DATA}/tokenizers/qwen2.5/tokenizer_config.json`);
    const { metadata, notes } = await vocabulary({ tokenizer: qwen(), config }, 151_936);
    expect(valueOf(metadata, 'ggml.pre')).toBe('qwen2');
    expect(notes).toEqual([]);
    expectIds(metadata, llamaCpp('qwen2'));
    // NFC is not for llama.cpp to do: texts that it would change are left out.
    expectIds(
      metadata,
      multilingual('qwen2_5').filter(([input]) => input.normalize('NFC') === input),
    );
    const tokens = valueOf(metadata, 'ggml.tokens') as string[];
    const types = valueOf(metadata, 'ggml.token_type') as number[];
    expect([tokens.length, tokens[151_935], types[151_935]]).toEqual([151_936, '[PAD151935]', 5]);
    expect([tokens[151_645], types[151_645]]).toEqual(['<|im_end|>', 3]);
    expect(valueOf(metadata, 'ggml.eos_token_id')).toBe(tokens.indexOf(String(config['eos_token'])));
  });

  it('GPT-2: named gpt-2 by its ids; ids of llama.cpp and transformers', async () => {
    const tokenizer = jsonAt(`${DATA}/tokenizers/gpt2/gpt2_tokenizer.json`);
    const { metadata } = await vocabulary({ tokenizer }, 50_257);
    expect(valueOf(metadata, 'ggml.pre')).toBe('gpt-2');
    expectIds(metadata, llamaCpp('gpt2'));
    expectIds(metadata, multilingual('gpt2'));
  });

  const llama2 = (): [string, number[]][] => {
    const golden = jsonAt(`${DATA}/tokenizers/llama-2/golden/llama_encoded.json`) as {
      text: string;
      token_ids: number[];
    };
    return [...llamaCpp('llama-2'), [golden.text, golden.token_ids.slice(1)]];
  };

  it('Llama-2 from tokenizer.model: SentencePiece’s scores and types; ids of llama.cpp and transformers', async () => {
    const sentencePiece = bytesAt(`${DATA}/tokenizers/llama-2/tokenizer.model`);
    const config = jsonAt(`${DATA}/tokenizers/llama-2/llama_tokenizer_config.json`);
    const model = { bos_token_id: 1, eos_token_id: 2 };
    const { metadata, notes } = await vocabulary({ sentencePiece, config, model }, 32_000);
    expect(notes).toEqual([]);
    expect(valueOf(metadata, 'ggml.model')).toBe('llama');
    expectIds(metadata, llama2());
    const types = valueOf(metadata, 'ggml.token_type') as number[];
    expect([types[0], types[1], types[2], types[3], types[258], types[259]]).toEqual([2, 3, 3, 6, 6, 1]);
    const scores = valueOf(metadata, 'ggml.scores') as number[];
    expect([scores[259], scores[260]]).toEqual([-1e9, -1]); // SentencePiece's own: two blanks merge last
    expect(valueOf(metadata, 'ggml.add_space_prefix')).toBe(true);
    expect(valueOf(metadata, 'ggml.add_bos_token')).toBe(true);
    expect(valueOf(metadata, 'ggml.add_eos_token')).toBe(false);
    expect([valueOf(metadata, 'ggml.bos_token_id'), valueOf(metadata, 'ggml.eos_token_id')]).toEqual([1, 2]);
  });

  it('Llama-2 and TinyLlama from tokenizer.json alone: scores from the merges give the same ids', async () => {
    const files = [
      ['llama-2/llama_tokenizer.json', 'llama-2/llama_tokenizer_config.json'],
      ['tinyllama/tokenizer.json', 'tinyllama/tokenizer_config.json'],
    ];
    for (const [tokenizer, config] of files) {
      const { metadata, notes } = await vocabulary(
        { tokenizer: jsonAt(`${DATA}/tokenizers/${tokenizer}`), config: jsonAt(`${DATA}/tokenizers/${config}`) },
        32_000,
      );
      expect(notes, tokenizer).toEqual([]);
      expectIds(metadata, llama2());
      // Runs of blanks, whose merges do not stand together in one of the files.
      const library = new HuggingFaceTokenizer({
        tokenizer: jsonAt(`${DATA}/tokenizers/${tokenizer}`),
        tokenizerConfig: jsonAt(`${DATA}/tokenizers/${config}`),
      });
      const runs = Array.from({ length: 40 }, (_, count) => `a${' '.repeat(count + 1)}b`);
      expectIds(
        metadata,
        runs.map((run) => [run, library.encode(run)]),
      );
      expect(valueOf(metadata, 'ggml.add_bos_token'), tokenizer).toBe(true);
      expect([valueOf(metadata, 'ggml.bos_token_id'), valueOf(metadata, 'ggml.unknown_token_id')]).toEqual([1, 0]);
    }
  });

  it('Mistral: both of its SentencePiece models are read', () => {
    for (const [name, size] of [
      ['tokenizer.model.v1', 32_000],
      ['mistral_instruct_tokenizer_240323.model.v3', 32_768],
    ] as const) {
      const model = readSentencePiece(bytesAt(`${DATA}/tokenizers/mistral/${name}`), name);
      expect([model.pieces.length, model.algorithm, model.addDummyPrefix]).toEqual([size, 'bpe', true]);
    }
  });
});

/** Letters, and a few merges; `a` and `b` have ids 0 and 1. */
const TINY = { vocab: { a: 0, b: 1, ab: 2, Ġ: 3, Ġa: 4 }, merges: ['a b', 'Ġ a'] };

describe('byte-level tokenizers that the converter has never seen', () => {
  const tiny = (expression: string): Json => byteLevel(TINY.vocab, TINY.merges, expression);
  it('are named by their rule, which is told', async () => {
    const { metadata, notes } = await vocabulary({ tokenizer: tiny(QWEN) }, 8);
    expect(valueOf(metadata, 'ggml.pre')).toBe('qwen2');
    expect(notes).toEqual([expect.stringContaining('cuts texts as "qwen2" does') as string]);
    expect(valueOf(metadata, 'ggml.tokens')).toEqual(['a', 'b', 'ab', 'Ġ', 'Ġa', '[PAD5]', '[PAD6]', '[PAD7]']);
    expect(ggufTokenize(metadata, 'ab a')).toEqual([2, 4]);
  });

  it('are refused where llama.cpp has no such rule', async () => {
    await expectRefusal(() => vocabulary({ tokenizer: tiny('\\w+') }, 8), 'checkpoint', 'pre_tokenizer');
    const prefixed = { ...tiny(QWEN), pre_tokenizer: { type: 'ByteLevel', add_prefix_space: true } };
    await expectRefusal(() => vocabulary({ tokenizer: prefixed }, 8), 'checkpoint', 'pre_tokenizer');
  });

  it('merges as pairs, with a blank in one, are written as the format has them', async () => {
    const tokenizer = {
      ...tiny(QWEN),
      model: {
        type: 'BPE',
        vocab: { ...TINY.vocab, '  ': 5 },
        merges: [
          ['a', 'b'],
          [' ', ' '],
        ],
      },
    };
    const { metadata } = await vocabulary({ tokenizer }, 8);
    expect(valueOf(metadata, 'ggml.merges')).toEqual(['a b', 'Ġ Ġ']);
  });

  it('a token beyond the embedding’s rows is left out, which is told', async () => {
    const added_tokens = [
      { id: 5, content: '<|end|>', special: true },
      { id: 6, content: '▁note', special: false },
      { id: 9, content: '<extra>', special: true },
    ];
    const tokenizer = { ...tiny(QWEN), added_tokens };
    const { metadata, notes } = await vocabulary(
      { tokenizer, config: { eos_token: '<|end|>', pad_token: '<extra>' } },
      8,
    );
    expect(notes.join()).toContain('1 tokens beyond the 8 rows');
    expect((valueOf(metadata, 'ggml.tokens') as string[]).slice(5)).toEqual(['<|end|>', ' note', '[PAD7]']);
    expect((valueOf(metadata, 'ggml.token_type') as number[]).slice(5)).toEqual([3, 4, 5]);
    expect(valueOf(metadata, 'ggml.eos_token_id')).toBe(5);
    expect(valueOf(metadata, 'ggml.padding_token_id')).toBeUndefined();
  });
});

describe('other tokenizers', () => {
  it('none, and one of whole words: token ids only, with a warning', async () => {
    for (const tokenizer of [undefined, { model: { type: 'WordLevel', vocab: { a: 0 } } }]) {
      const { metadata, notes } = await vocabulary({ tokenizer }, 4);
      expect(valueOf(metadata, 'ggml.model')).toBe('none');
      expect(notes).toEqual([expect.stringMatching(/^warning: .*token ids only/) as string]);
    }
  });

  it('byte fallback whose merges no scores can tell is told', async () => {
    const vocab = { '<unk>': 0, a: 1, b: 2, c: 3, ab: 4, bc: 5, abc: 6 };
    const fallback = (merges: string[]): Json => ({
      model: { type: 'BPE', vocab, merges, byte_fallback: true, unk_token: '<unk>' },
      normalizer: { type: 'Sequence', normalizers: [{ type: 'Prepend', prepend: '▁' }] },
    });
    const whole = await vocabulary({ tokenizer: fallback(['a b', 'b c', 'a bc', 'ab c']) }, 8);
    expect(whole.notes).toEqual([]);
    expect(valueOf(whole.metadata, 'ggml.scores')).toEqual([-4, -4, -4, -4, -0, -1, -2, -10_000]);
    expect(valueOf(whole.metadata, 'ggml.add_space_prefix')).toBe(true);
    for (const merges of [
      ['a b', 'b c', 'ab c'], // a + bc is no merge, but llama.cpp would make it
      ['a bc', 'b c', 'ab c', 'a b'], // the two ways to abc do not stand together
    ]) {
      const { notes } = await vocabulary({ tokenizer: fallback(merges) }, 8);
      expect(notes, merges.join()).toEqual([expect.stringMatching(/^warning: the merges/) as string]);
    }
  });

  it('several chat templates: the default one, and the others by name; chat_template.jinja where there is none', async () => {
    const tokenizer = byteLevel(TINY.vocab, TINY.merges, QWEN);
    const chat_template = [
      { name: 'default', template: 'D' },
      { name: 'tool-use', template: 'T' },
    ];
    const named = await vocabulary({ tokenizer, config: { chat_template } }, 5);
    expect(valueOf(named.metadata, 'chat_template')).toBe('D');
    expect(valueOf(named.metadata, 'chat_template.tool_use')).toBe('T');
    expect(valueOf(named.metadata, 'chat_templates')).toEqual(['tool_use']);
    const jinja = await vocabulary({ tokenizer, chatTemplate: 'J' }, 5);
    expect(valueOf(jinja.metadata, 'chat_template')).toBe('J');
  });
});

describe('tokenizer.model', () => {
  it('any bytes give a model or a PupilError', async () => {
    const source =
      DATA === undefined
        ? Uint8Array.of(10, 3, 10, 1, 97)
        : bytesAt(`${DATA}/tokenizers/llama-2/tokenizer.model`).slice(0, 400);
    await fc.assert(
      fc.asyncProperty(fc.nat(source.length), fc.uint8Array({ maxLength: 20 }), (cut, rest) =>
        onlyPupilErrors(() =>
          readSentencePiece(Uint8Array.from([...source.slice(0, cut), ...rest]), 'tokenizer.model'),
        ),
      ),
      { numRuns: 200 },
    );
    await expectRefusal(() => readSentencePiece(new Uint8Array(0), 'tokenizer.model'), 'format', 'empty');
    await expectRefusal(
      () => readSentencePiece(text('version https://git-lfs'), 'tokenizer.model'),
      'format',
      'tokenizer.model',
    );
  });

  it('texts of any characters survive the metadata', async () => {
    await fc.assert(
      fc.asyncProperty(anyText(), async (chatTemplate) => {
        const { metadata } = await vocabulary({ tokenizer: byteLevel(TINY.vocab, TINY.merges, QWEN), chatTemplate }, 5);
        expect(valueOf(metadata, 'chat_template')).toBe(chatTemplate);
      }),
      { numRuns: 20 },
    );
  });
});

// Claims about formats/peft.ts: PEFT's golden adapters read and are written back byte for byte; key variants mean the
// same; adapters that are not plain LoRA, and damaged ones, are refused by name.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { readPeftAdapter, resolveTargetModules, writePeftAdapter, type AdapterFile } from '../../../src/formats/peft';
import { writeSafetensors, type TensorData } from '../../../src/formats/safetensorsWrite';
import { encodeFloats } from '../../../src/formats/tensorBytes';
import { bytesAt, expectRefusal, folderOf, GOLDEN, jsonAt, onlyPupilErrors, openFolder } from './files';

const CONFIG = { peft_type: 'LORA', r: 2, lora_alpha: 4, target_modules: ['q_proj'], bias: 'none' };
const PATH = 'model.layers.0.self_attn.q_proj';
const factor = (name: string, shape: [number, number], values?: number[]): TensorData => {
  const data = Float32Array.from(values ?? Array.from({ length: shape[0] * shape[1] }, (_, i) => i + 1));
  return { name, dtype: 'f32', shape, data };
};
const A = factor(`base_model.model.${PATH}.lora_A.weight`, [2, 3]);
const B = factor(`base_model.model.${PATH}.lora_B.weight`, [4, 2]);
const adapter = (config: object, tensors: TensorData[] = [A, B]) =>
  readPeftAdapter(
    folderOf({
      'adapter_config.json': { ...CONFIG, ...config },
      'adapter_model.safetensors': writeSafetensors(tensors),
    }),
  );
/** What the files hold, without what reading adds. */
const held = ({ name: _, adapts: __, ...file }: AdapterFile): AdapterFile => file;
const renamed = (tensor: TensorData, name: string): TensorData => ({ ...tensor, name });

describe('golden adapters', () => {
  const folders = [
    'lora-llama-tiny/adapter_init',
    'lora-llama-tiny/adapter_final',
    'dpo/adapter_after_dpo_5_steps',
    'qlora-llama-tiny-double/adapter_final',
  ];
  it.each(folders)('%s reads, and is written back byte for byte', async (folder) => {
    const file = await readPeftAdapter(openFolder(`${GOLDEN}/${folder}`), folder);
    expect(file).toMatchObject({ r: 8, alpha: 16, dropout: 0, rsLora: false });
    expect(file.targetModules).toHaveLength(7);
    expect(file.tensors.size).toBe(14);
    const down = file.tensors.get('model.layers.1.mlp.down_proj')!;
    expect([down.a.shape, down.b.shape]).toEqual([
      [8, 172],
      [64, 8],
    ]);
    for (const [name, bytes] of Object.entries(writePeftAdapter(file))) {
      expect(Buffer.from(bytes).equals(bytesAt(`${GOLDEN}/${folder}/${name}`)), name).toBe(true);
    }
  });
});

describe('reading', () => {
  it('names with an adapter in them, without prefix, or of a bare decoder mean the same module', async () => {
    const names = [
      [`base_model.model.${PATH}.lora_A.default.weight`, `base_model.model.${PATH}.lora_B.default.weight`],
      [`${PATH}.lora_A.weight`, `${PATH}.lora_B.weight`],
      [
        'base_model.model.layers.0.self_attn.q_proj.lora_A.weight',
        'base_model.model.layers.0.self_attn.q_proj.lora_B.weight',
      ],
      [
        `base_model.model._orig_mod.${PATH}.lora_A.weight`,
        `base_model.model.model.layers.0._fsdp_wrapped_module.self_attn.q_proj.lora_B.default.weight`,
      ],
    ] as const;
    for (const [a, b] of names) {
      const file = await adapter({}, [renamed(A, a), renamed(B, b)]);
      expect(Array.from(file.tensors.keys())).toEqual([PATH]);
      expect(file.tensors.get(PATH)!.b).toEqual({ shape: [4, 2], data: B.data });
    }
  });

  it('settings: a regular expression as target, rsLoRA, dropout, no base model', async () => {
    const file = await adapter({ target_modules: '.*q_proj', use_rslora: true, lora_dropout: 0.1 });
    expect(file).toMatchObject({ targetModules: '.*q_proj', rsLora: true, dropout: 0.1, baseModel: '' });
  });

  it('rank_pattern and alpha_pattern give a module its own rank and α, by the end of its path', async () => {
    const V = 'model.layers.0.self_attn.v_proj';
    const tensors = [
      A,
      B,
      factor(`base_model.model.${V}.lora_A.weight`, [1, 3]),
      factor(`base_model.model.${V}.lora_B.weight`, [4, 1]),
    ];
    const targets = { target_modules: ['q_proj', 'v_proj'] };
    const file = await adapter({ ...targets, rank_pattern: { v_proj: 1 }, alpha_pattern: { [V]: 8 } }, tensors);
    expect(file.tensors.get(V)).toMatchObject({ a: { shape: [1, 3] }, alpha: 8 });
    expect(file.tensors.get(PATH)!.alpha).toBeUndefined();
    const written = writePeftAdapter(file);
    expect(held(await readPeftAdapter(folderOf(written)))).toEqual(held(file));
    await expectRefusal(() => adapter(targets, tensors), 'checkpoint', V, 'lora_A', '[2, inputs]', '[1, 3]');
  });

  it('factors in 16 bits are what they stand for', async () => {
    for (const dtype of ['f16', 'bf16'] as const) {
      const stored = ({ name, shape, data }: TensorData): TensorData => ({
        name,
        dtype,
        shape,
        data: encodeFloats(data as Float32Array, dtype),
      });
      const file = await adapter({}, [stored(A), stored(B)]);
      expect(file.tensors.get(PATH)!.a).toEqual({ shape: [2, 3], data: Float32Array.of(1, 2, 3, 4, 5, 6) });
      expect(file.tensors.get(PATH)!.b.data).toEqual(B.data);
    }
  });

  it('a pattern takes its first key that fits, as PEFT does', async () => {
    const config = { alpha_pattern: { self_attn: 9, q_proj: 6, [PATH]: 7 } };
    expect((await adapter(config)).tensors.get(PATH)!.alpha).toBe(6);
  });

  // What several versions of PEFT, and tools around it, write beside the rest where the adapter is plain LoRA.
  const plain: [string, object][] = [
    [
      '0.4',
      { auto_mapping: null, layers_pattern: null, layers_to_transform: null, revision: null, inference_mode: true },
    ],
    ['before 0.3', { enable_lora: null, merge_weights: false }],
    [
      '0.9',
      { loftq_config: {}, megatron_config: null, megatron_core: 'megatron.core', use_dora: false, use_rslora: false },
    ],
    ['0.11', { layer_replication: null, rank_pattern: {}, alpha_pattern: {} }],
    ['0.14', { eva_config: null, exclude_modules: null, lora_bias: false, corda_config: null }],
    ['0.15', { trainable_token_indices: null }],
    ['0.17', { target_parameters: null, use_qalora: false, qalora_group_size: 16 }],
    ['0.18', { alora_invocation_tokens: null, arrow_config: null, ensure_weight_tying: false, peft_version: '0.18.0' }],
    ['a version to come', { use_something: false, something_config: null, something_list: [], something_map: {} }],
    ['EVA', { init_lora_weights: 'eva', eva_config: { rho: 2, tau: 0.99 } }],
    ['CorDA, converted', { init_lora_weights: true, corda_config: { corda_method: 'kpm' } }],
    ['orthogonal', { init_lora_weights: 'orthogonal' }],
    ['Unsloth', { auto_mapping: { base_model_class: 'LlamaForCausalLM', unsloth_fixed: true } }],
  ];
  it.each(plain)('what is written by or for %s is accepted: it computes the same', async (_, config) => {
    expect((await adapter(config)).tensors.size).toBe(1);
  });

  const kinds: [object, string[]][] = [
    [{ target_parameters: ['mlp.experts.gate_up_proj'] }, ['target_parameters', 'gate_up_proj']],
    [{ alora_invocation_tokens: [1, 2] }, ['alora_invocation_tokens']],
    [{ arrow_config: { top_k: 2 } }, ['arrow_config', 'top_k']],
    [{ ensure_weight_tying: true }, ['ensure_weight_tying']],
    [{ use_something: true }, ['use_something', 'true']],
    [{ something_config: { rate: 2 } }, ['something_config']],
    [{ init_lora_weights: 'corda', corda_config: { corda_method: 'kpm' } }, ['init_lora_weights', 'corda']],
    [{ init_lora_weights: 'lora_ga' }, ['init_lora_weights', 'lora_ga']],
    [{ init_lora_weights: 'loftq' }, ['init_lora_weights', 'loftq']],
    [{ init_lora_weights: 'olora' }, ['init_lora_weights', 'olora']],
    [{ peft_type: 'IA3' }, ['peft_type', 'IA3']],
    [{ task_type: 'SEQ_CLS' }, ['task_type', 'SEQ_CLS']],
    [{ use_dora: true }, ['use_dora']],
    [{ use_qalora: true }, ['use_qalora']],
    [{ fan_in_fan_out: true }, ['fan_in_fan_out']],
    [{ lora_bias: true }, ['lora_bias']],
    [{ bias: 'all' }, ['bias', '"none"', '"all"']],
    [{ modules_to_save: ['lm_head'] }, ['modules_to_save', 'lm_head']],
    [{ layer_replication: [[0, 1]] }, ['layer_replication']],
    [{ trainable_token_indices: [1] }, ['trainable_token_indices']],
    [{ init_lora_weights: 'pissa_niter_4' }, ['init_lora_weights', 'pissa']],
    [{ r: 0 }, ['r:', '0']],
    [{ r: undefined }, ['r:', 'missing']],
    [{ lora_alpha: -1 }, ['lora_alpha', '-1']],
    [{ lora_dropout: 1 }, ['lora_dropout', '1']],
    [{ target_modules: [1] }, ['target_modules']],
    [{ rank_pattern: { '(a+)+$': 3 } }, ['rank_pattern', '(a+)+$']],
    [{ rank_pattern: { q_proj: 1.5 } }, ['rank_pattern', '1.5']],
    [{ alpha_pattern: [] }, ['alpha_pattern', 'object']],
  ];
  it.each(kinds)('%j is refused', async (change, words) => {
    await expectRefusal(() => adapter(change), 'checkpoint', 'adapter_config.json', ...words);
  });

  const damages: [string, TensorData[], string[]][] = [
    ['no tensors', [], ['no tensors']],
    ['lora_B missing', [A], [PATH, 'lora_B is missing']],
    ['lora_A missing', [B], [PATH, 'lora_A is missing']],
    ['rank of A', [factor(A.name, [3, 3]), B], [PATH, 'lora_A', '[2, inputs]', '[3, 3]']],
    ['rank of B', [A, factor(B.name, [2, 4])], [PATH, 'lora_B', '[outputs, 2]', '[2, 4]']],
    ['NaN', [A, factor(B.name, [4, 2], [0, 0, 0, 0, 0, NaN, 0, 0])], [PATH, 'lora_B', 'element 5 is NaN']],
    ['infinity', [factor(A.name, [2, 3], [0, -Infinity, 0, 0, 0, 0]), B], ['lora_A', 'element 1 is -Infinity']],
    [
      'a vector of DoRA',
      [A, B, factor(`base_model.model.${PATH}.lora_magnitude_vector`, [1, 4])],
      ['lora_magnitude_vector'],
    ],
    ['a saved head', [A, B, factor('base_model.model.lm_head.weight', [4, 4])], ['lm_head.weight']],
    [
      'two adapters in one file',
      [A, B, renamed(A, `base_model.model.${PATH}.lora_A.other.weight`)],
      ['one lora_A', 'other'],
    ],
  ];
  it.each(damages)('%s is refused', async (_claim, tensors, words) => {
    await expectRefusal(() => adapter({}, tensors), 'checkpoint', 'adapter_model.safetensors', ...words);
  });

  const V = 'model.layers.1.self_attn.v_proj';
  const two = [
    A,
    B,
    factor(`base_model.model.${V}.lora_A.weight`, [2, 3]),
    factor(`base_model.model.${V}.lora_B.weight`, [4, 2]),
  ];
  it.each<[object]>([
    [{ target_modules: ['foo'] }],
    [{ target_modules: ['q_proj'] }],
    [{ target_modules: [PATH] }],
    [{ target_modules: ['q_proj', 'v_proj'], layers_to_transform: [0] }],
    [{ target_modules: ['q_proj', 'v_proj'], layers_to_transform: 0 }],
    [{ target_modules: 'all-linear', exclude_modules: ['v_proj'] }],
  ])('%j: weights that PEFT would leave out are refused', async (change) => {
    const named = JSON.stringify(change).includes('foo') ? PATH : V;
    await expectRefusal(() => adapter(change, two), 'checkpoint', 'adapter_model.safetensors', 'target_modules', named);
  });
  it.each<[object]>([
    [{ target_modules: ['v_proj', 'q_proj', 'query_key_value'] }],
    [{ target_modules: [PATH, V] }],
    [{ target_modules: 'all-linear' }],
    [{ target_modules: '.*_proj' }],
    [{ target_modules: ['q_proj', 'v_proj'], layers_to_transform: [1, 0] }],
    [{ target_modules: undefined }],
  ])('%j: takes both', async (change) => {
    expect((await adapter(change, two)).tensors.size).toBe(2);
  });

  it('missing files are named', async () => {
    await expectRefusal(() => readPeftAdapter(folderOf({}), 'here'), 'checkpoint', 'here', 'adapter_config.json');
    const open = folderOf({ 'adapter_config.json': CONFIG });
    await expectRefusal(() => readPeftAdapter(open, 'here'), 'checkpoint', 'here', 'adapter_model.safetensors');
  });

  it('any values under known keys give an adapter or a PupilError', async () => {
    const keys = Object.keys(jsonAt(`${GOLDEN}/lora-llama-tiny/adapter_init/adapter_config.json`));
    const change = fc.dictionary(fc.constantFrom(...keys), fc.jsonValue(), { maxKeys: 3 });
    await fc.assert(
      fc.asyncProperty(change, (values) => onlyPupilErrors(() => adapter(values))),
      { numRuns: 300 },
    );
  });
});

describe('which modules the settings list', () => {
  const layer = (index: number): string => `model.layers.${index}.self_attn.q_proj`;
  it.each([
    ['by name', {}, [true, true]],
    ['by path', { target_modules: [layer(0)] }, [true, false]],
    ['all linear layers', { target_modules: 'all-linear' }, [true, true]],
    ['all but one', { exclude_modules: [layer(1)] }, [true, false]],
    ['of some layers', { layers_to_transform: [0] }, [true, false]],
  ])('%s', async (_, config, expected) => {
    const { adapts } = await adapter(config);
    expect([0, 1].map((index) => adapts!(layer(index)))).toEqual(expected);
    expect(adapts!('lm_head')).toBe(false);
  });

  it.each([
    ['an expression', { target_modules: '.*q_proj' }],
    ['nothing', { target_modules: [] }],
  ])('%s lists none', async (_, config) => expect((await adapter(config)).adapts).toBeUndefined());
});

describe('writing', () => {
  it('any adapter reads back as it was given', async () => {
    const f32 = fc.float({ noNaN: true, noDefaultInfinity: true });
    const settings = fc.record({
      r: fc.integer({ min: 1, max: 4 }),
      alpha: fc.integer({ min: 1, max: 64 }),
      rsLora: fc.boolean(),
    });
    await fc.assert(
      fc.asyncProperty(
        settings,
        fc.double({ min: 0, max: 0.99, noNaN: true }),
        fc.string(),
        f32,
        async (s, dropout, baseModel, v) => {
          const file: AdapterFile = {
            ...s,
            dropout,
            baseModel,
            targetModules: ['q_proj'],
            tensors: new Map([
              [
                PATH,
                {
                  a: { shape: [s.r, 3], data: new Float32Array(s.r * 3).fill(v) },
                  b: { shape: [4, s.r], data: new Float32Array(4 * s.r) },
                },
              ],
            ]),
          };
          expect(held(await readPeftAdapter(folderOf(writePeftAdapter(file))))).toEqual(file);
        },
      ),
      { numRuns: 100 },
    );
  });

  it('factors that do not fit each other are refused', () => {
    const tensors = new Map([
      [
        PATH,
        {
          a: { shape: [2, 3] as const, data: new Float32Array(6) },
          b: { shape: [4, 3] as const, data: new Float32Array(12) },
        },
      ],
    ]);
    const file: AdapterFile = { r: 2, alpha: 4, dropout: 0, rsLora: false, targetModules: [], baseModel: '', tensors };
    expect(() => writePeftAdapter(file)).toThrow(`${PATH}: expected lora_B [outputs, 2]`);
  });
});

describe('resolveTargetModules', () => {
  const paths = [
    'model.layers.0.self_attn.q_proj',
    'model.layers.0.mlp.up_proj',
    'model.layers.1.self_attn.q_proj',
    'lm_head',
  ];
  it('a list matches whole paths and their ends behind a point', () => {
    expect(resolveTargetModules(['q_proj'], paths)).toEqual([paths[0], paths[2]]);
    expect(resolveTargetModules([paths[2]!], paths)).toEqual([paths[2]]);
    expect(resolveTargetModules(['0.mlp.up_proj'], paths)).toEqual([paths[1]]);
  });
  it('"all-linear" is all but the head', () => {
    expect(resolveTargetModules('all-linear', paths)).toEqual(paths.slice(0, 3));
  });
  it('an expression must match the whole path', () => {
    expect(resolveTargetModules('.*0\\.(self_attn|mlp)\\.\\w+', paths)).toEqual(paths.slice(0, 2));
  });
  it('nothing found, or no expression, is refused', async () => {
    await expectRefusal(() => resolveTargetModules(['proj'], paths), 'config', '["proj"]', 'matches none');
    await expectRefusal(() => resolveTargetModules('q_proj', paths), 'config', '"q_proj"');
    await expectRefusal(() => resolveTargetModules('(', paths), 'config', 'regular expression');
  });
});

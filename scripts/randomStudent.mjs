#!/usr/bin/env node
// randomStudent.mjs: writes a checkpoint with random weights in the shape of a published model, in Hugging Face's layout
// (float16, sharded safetensors), a tensor at a time: to measure loading and training at full size where the model cannot be
// downloaded. Values are seeded normals of standard deviation 0.02 from one table of 2^24, entered at a place of each
// tensor's own; norms are 1. It writes no tokenizer: copy one beside it.
import { closeSync, existsSync, mkdirSync, openSync, readdirSync, writeFileSync, writeSync } from 'node:fs';
import path from 'node:path';
import { parseArgs } from 'node:util';

const LLAMA = {
  architectures: ['LlamaForCausalLM'],
  model_type: 'llama',
  hidden_act: 'silu',
  max_position_embeddings: 4096,
  rms_norm_eps: 1e-5,
  rope_theta: 10000,
  tie_word_embeddings: false,
  torch_dtype: 'float16',
  vocab_size: 32000,
  bos_token_id: 1,
  eos_token_id: 2,
};

/** @type {Record<string, Record<string, unknown> & { hidden_size: number, intermediate_size: number, num_hidden_layers: number, num_attention_heads: number, num_key_value_heads: number, vocab_size: number }>} */
const SHAPES = {
  'tinyllama-1.1b': {
    ...LLAMA,
    max_position_embeddings: 2048,
    hidden_size: 2048,
    intermediate_size: 5632,
    num_hidden_layers: 22,
    num_attention_heads: 32,
    num_key_value_heads: 4,
  },
  'llama-2-7b': {
    ...LLAMA,
    hidden_size: 4096,
    intermediate_size: 11008,
    num_hidden_layers: 32,
    num_attention_heads: 32,
    num_key_value_heads: 32,
  },
  'llama-2-13b': {
    ...LLAMA,
    hidden_size: 5120,
    intermediate_size: 13824,
    num_hidden_layers: 40,
    num_attention_heads: 40,
    num_key_value_heads: 40,
  },
};

const USAGE = `node scripts/randomStudent.mjs --shape SHAPE --out DIR [--layers N] [--seed N] [--shard-bytes N]
  --shape        ${Object.keys(SHAPES).join(', ')}
  --out          a folder that is empty or not there
  --layers       fewer (or more) layers than the model has
  --seed         of the table of weights (0)
  --shard-bytes  a file is closed when it has as many (4 GiB)`;

/** @param {string} message @returns {never} */
function refuse(message) {
  console.error(`${message}\n\n${USAGE}`);
  process.exit(2);
}

/** @param {string | undefined} text @param {number} usual @param {number} least @param {string} flag */
function whole(text, usual, least, flag) {
  const value = text === undefined ? usual : Number(text);
  return Number.isSafeInteger(value) && value >= least
    ? value
    : refuse(`${flag}: expected a whole number from ${least}, got ${text}`);
}

const single = new Float32Array(1);
const singleBits = new Uint32Array(single.buffer);

/** Round to nearest even; magnitudes here are far from overflow. @param {number} x */
function toHalf(x) {
  single[0] = x;
  const bits = singleBits[0] ?? 0;
  const sign = (bits >>> 16) & 0x8000;
  const exponent = ((bits >>> 23) & 0xff) - 112;
  if (exponent <= 0) return exponent < -10 ? sign : sign | Math.round(Math.abs(x) * 2 ** 24);
  const mantissa = bits & 0x7fffff;
  const half = (exponent << 10) | (mantissa >>> 13);
  const rest = mantissa & 0x1fff;
  return sign | (half + (rest > 0x1000 || (rest === 0x1000 && half & 1) ? 1 : 0));
}

/** Normals by Box and Muller on a linear congruential generator. @param {number} seed @param {number} count */
function tableOf(seed, count) {
  let state = (seed * 2654435761 + 12345) >>> 0;
  const uniform = () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return (state + 0.5) / 2 ** 32;
  };
  const table = new Uint16Array(count);
  for (let i = 0; i < count; i += 2) {
    const radius = 0.02 * Math.sqrt(-2 * Math.log(uniform()));
    const angle = 2 * Math.PI * uniform();
    table[i] = toHalf(radius * Math.cos(angle));
    table[i + 1] = toHalf(radius * Math.sin(angle));
  }
  return table;
}

const { values } = parseArgs({
  options: {
    shape: { type: 'string' },
    out: { type: 'string' },
    layers: { type: 'string' },
    seed: { type: 'string' },
    'shard-bytes': { type: 'string' },
    help: { type: 'boolean', short: 'h', default: false },
  },
});
if (values.help) {
  console.log(USAGE);
  process.exit(0);
}
const shape = SHAPES[values.shape ?? ''] ?? refuse(`--shape: expected one of those below, got ${values.shape}`);
const out = values.out ?? refuse('--out: expected a folder');
if (existsSync(out) && readdirSync(out).length > 0) refuse(`--out: expected an empty folder, ${out} has files`);
const layers = whole(values.layers, shape.num_hidden_layers, 1, '--layers');
const shardBytes = whole(values['shard-bytes'], 2 ** 32, 1, '--shard-bytes');
const table = tableOf(whole(values.seed, 0, 0, '--seed'), 2 ** 24);

const { hidden_size: C, intermediate_size: I, num_attention_heads: H, num_key_value_heads: G, vocab_size: V } = shape;
const narrow = (C / H) * G;
/** @type {[string, number[]][]} */
const tensors = [['model.embed_tokens.weight', [V, C]]];
for (let i = 0; i < layers; i++) {
  const name = `model.layers.${i}`;
  tensors.push(
    [`${name}.input_layernorm.weight`, [C]],
    [`${name}.self_attn.q_proj.weight`, [C, C]],
    [`${name}.self_attn.k_proj.weight`, [narrow, C]],
    [`${name}.self_attn.v_proj.weight`, [narrow, C]],
    [`${name}.self_attn.o_proj.weight`, [C, C]],
    [`${name}.post_attention_layernorm.weight`, [C]],
    [`${name}.mlp.gate_proj.weight`, [I, C]],
    [`${name}.mlp.up_proj.weight`, [I, C]],
    [`${name}.mlp.down_proj.weight`, [C, I]],
  );
}
tensors.push(['model.norm.weight', [C]], ['lm_head.weight', [V, C]]);

/** @param {number[]} dims */
const sizeOf = (dims) => dims.reduce((product, n) => product * n, 2);
/** @type {[string, number[]][][]} */
const shards = [[]];
let filled = 0;
for (const tensor of tensors) {
  if (filled > 0 && filled + sizeOf(tensor[1]) > shardBytes) {
    shards.push([]);
    filled = 0;
  }
  shards.at(-1)?.push(tensor);
  filled += sizeOf(tensor[1]);
}

mkdirSync(out, { recursive: true });
/** @type {Record<string, string>} */
const weightMap = {};
const norms = new Uint16Array(C).fill(toHalf(1));
let written = 0;
for (const [s, shard] of shards.entries()) {
  const number = (/** @type {number} */ n) => String(n).padStart(5, '0');
  const file =
    shards.length === 1 ? 'model.safetensors' : `model-${number(s + 1)}-of-${number(shards.length)}.safetensors`;
  /** @type {Record<string, unknown>} */
  const header = { __metadata__: { format: 'pt' } };
  let offset = 0;
  for (const [name, dims] of shard) {
    header[name] = { dtype: 'F16', shape: dims, data_offsets: [offset, offset + sizeOf(dims)] };
    offset += sizeOf(dims);
    weightMap[name] = file;
  }
  const text = JSON.stringify(header);
  const padded = text.padEnd(Math.ceil(text.length / 8) * 8);
  const length = new BigUint64Array([BigInt(padded.length)]);
  const descriptor = openSync(path.join(out, file), 'wx');
  /** @param {Uint8Array} bytes */
  const write = (bytes) => {
    for (let at = 0; at < bytes.length;) at += writeSync(descriptor, bytes, at, Math.min(2 ** 28, bytes.length - at));
  };
  write(new Uint8Array(length.buffer));
  write(Buffer.from(padded));
  for (const [name, dims] of shard) {
    const count = sizeOf(dims) / 2;
    if (dims.length === 1) write(new Uint8Array(norms.buffer, 0, 2 * count));
    else {
      // A place of each tensor's own in the table, odd steps apart.
      let at = [...name].reduce((hash, letter) => (Math.imul(hash, 31) + letter.charCodeAt(0)) >>> 0, 7) % table.length;
      for (let left = count; left > 0;) {
        const n = Math.min(left, table.length - at);
        write(new Uint8Array(table.buffer, 2 * at, 2 * n));
        left -= n;
        at = (at + n) % table.length;
      }
    }
  }
  closeSync(descriptor);
  written += offset;
  console.error(`${file}: ${(offset / 2 ** 30).toFixed(2)} GiB`);
}
if (shards.length > 1) {
  const index = { metadata: { total_size: written }, weight_map: weightMap };
  writeFileSync(path.join(out, 'model.safetensors.index.json'), `${JSON.stringify(index, null, 2)}\n`);
}
writeFileSync(path.join(out, 'config.json'), `${JSON.stringify({ ...shape, num_hidden_layers: layers }, null, 2)}\n`);
console.log(`${out}: ${(written / 2).toLocaleString('en-US')} parameters in ${shards.length} files`);

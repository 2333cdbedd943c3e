#!/usr/bin/env node
// randomStudent.mjs: writes a checkpoint with random weights in the shape of a published model, or of any config.json of a
// family that is known, in Hugging Face's layout (float16 or bfloat16, sharded safetensors), a tensor at a time: to measure
// loading and training at full size where the model cannot be downloaded. Values are seeded normals of standard deviation
// 0.02 from one table of at most 2^24, entered at a place of each tensor's own; norms scale by 1. Which tensors there are is
// studentShapes.mjs. It writes no tokenizer: copy one beside it.
import {
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { FAMILIES, SHAPES, tensorsOf } from './studentShapes.mjs';

/** @typedef {import('./studentShapes.mjs').Config} Config */
/** @typedef {import('./studentShapes.mjs').TensorPlan} TensorPlan */

const USAGE = `node scripts/randomStudent.mjs (--shape SHAPE | --config FILE) --out DIR [--dtype float16|bfloat16] [--layers N] [--seed N] [--shard-bytes N]
  --shape        ${Object.keys(SHAPES).join(', ')}
  --config       a config.json of ${FAMILIES.join(', ')}
  --out          a folder that is empty or not there
  --dtype        of the weights (as the config says)
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

/** Round to nearest even; all values here are finite. @param {number} x */
function toBrain(x) {
  single[0] = x;
  const bits = singleBits[0] ?? 0;
  return ((bits + 0x7fff + ((bits >>> 16) & 1)) >>> 16) & 0xffff;
}

/** Of each dtype: its name in safetensors, and how a number becomes its 16 bits. */
const DTYPES = { float16: { stored: 'F16', encode: toHalf }, bfloat16: { stored: 'BF16', encode: toBrain } };

/**
 * Normals by Box and Muller on a linear congruential generator.
 * @param {number} seed @param {number} count @param {(x: number) => number} encode
 */
function tableOf(seed, count, encode) {
  let state = (seed * 2654435761 + 12345) >>> 0;
  const uniform = () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return (state + 0.5) / 2 ** 32;
  };
  const table = new Uint16Array(count);
  for (let i = 0; i < count; i += 2) {
    const radius = 0.02 * Math.sqrt(-2 * Math.log(uniform()));
    const angle = 2 * Math.PI * uniform();
    table[i] = encode(radius * Math.cos(angle));
    table[i + 1] = encode(radius * Math.sin(angle));
  }
  return table;
}

/** A config from a file, with what tensorsOf needs in it. @param {string} file @returns {Config} */
function configFrom(file) {
  let config;
  try {
    config = JSON.parse(readFileSync(file, 'utf8'));
  } catch (error) {
    return refuse(`--config: expected a config.json, ${file}: ${error instanceof Error ? error.message : error}`);
  }
  if (!FAMILIES.includes(config?.model_type)) {
    refuse(`--config: expected model_type ${FAMILIES.join(' or ')}, ${file} has ${JSON.stringify(config?.model_type)}`);
  }
  for (const key of ['hidden_size', 'intermediate_size', 'num_hidden_layers', 'num_attention_heads', 'vocab_size']) {
    if (!Number.isSafeInteger(config[key]) || config[key] < 1) {
      refuse(`--config: ${key}: expected a whole number from 1, ${file} has ${JSON.stringify(config[key])}`);
    }
  }
  if ((config.head_dim ?? undefined) === undefined && config.hidden_size % config.num_attention_heads !== 0) {
    refuse(`--config: expected head_dim, or a hidden_size divisible by num_attention_heads, ${file} has neither`);
  }
  return config;
}

const { values } = parseArgs({
  options: {
    shape: { type: 'string' },
    config: { type: 'string' },
    dtype: { type: 'string' },
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
if ((values.shape === undefined) === (values.config === undefined)) refuse('expected one of --shape and --config');
const published =
  values.config === undefined
    ? (SHAPES[values.shape ?? ''] ?? refuse(`--shape: expected one of those below, got ${values.shape}`))
    : configFrom(values.config);
const out = values.out ?? refuse('--out: expected a folder');
if (existsSync(out) && readdirSync(out).length > 0) refuse(`--out: expected an empty folder, ${out} has files`);
const dtypeKey = published.dtype === undefined ? 'torch_dtype' : 'dtype';
const dtypeName = values.dtype ?? published[dtypeKey] ?? 'float16';
if (dtypeName !== 'float16' && dtypeName !== 'bfloat16') {
  refuse(`--dtype: expected float16 or bfloat16, got ${String(dtypeName)}`);
}
const { stored, encode } = DTYPES[dtypeName];
const layers = whole(values.layers, published.num_hidden_layers, 1, '--layers');
const shardBytes = whole(values['shard-bytes'], 2 ** 32, 1, '--shard-bytes');
const layerTypes = published.layer_types ?? undefined;
if (layerTypes !== undefined && layers > layerTypes.length) {
  refuse(`--layers: expected at most ${layerTypes.length}, as many as layer_types of the config, got ${layers}`);
}
/** @type {Config} */
const config = {
  ...published,
  [dtypeKey]: dtypeName,
  num_hidden_layers: layers,
  ...(layerTypes === undefined ? {} : { layer_types: layerTypes.slice(0, layers) }),
};
const tensors = tensorsOf(config);

/** @param {number[]} dims */
const sizeOf = (dims) => dims.reduce((product, n) => product * n, 2);
// No more of the table than the largest tensor needs, at least 2^16: a power of two, as Box and Muller give pairs.
const largest = Math.max(...tensors.map(({ shape }) => sizeOf(shape) / 2));
const table = tableOf(
  whole(values.seed, 0, 0, '--seed'),
  2 ** Math.min(24, Math.max(16, Math.ceil(Math.log2(largest)))),
  encode,
);
/** @type {TensorPlan[][]} */
const shards = [[]];
let filled = 0;
for (const tensor of tensors) {
  if (filled > 0 && filled + sizeOf(tensor.shape) > shardBytes) {
    shards.push([]);
    filled = 0;
  }
  shards.at(-1)?.push(tensor);
  filled += sizeOf(tensor.shape);
}

mkdirSync(out, { recursive: true });
/** @type {Record<string, string>} */
const weightMap = {};
let written = 0;
for (const [s, shard] of shards.entries()) {
  const number = (/** @type {number} */ n) => String(n).padStart(5, '0');
  const file =
    shards.length === 1 ? 'model.safetensors' : `model-${number(s + 1)}-of-${number(shards.length)}.safetensors`;
  /** @type {Record<string, unknown>} */
  const header = { __metadata__: { format: 'pt' } };
  let offset = 0;
  for (const { name, shape } of shard) {
    header[name] = { dtype: stored, shape, data_offsets: [offset, offset + sizeOf(shape)] };
    offset += sizeOf(shape);
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
  for (const { name, shape, fill } of shard) {
    const count = sizeOf(shape) / 2;
    if (fill !== 'random') write(new Uint8Array(new Uint16Array(count).fill(encode(fill === 'one' ? 1 : 0)).buffer));
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
writeFileSync(path.join(out, 'config.json'), `${JSON.stringify(config, null, 2)}\n`);
console.log(`${out}: ${(written / 2).toLocaleString('en-US')} parameters in ${shards.length} files`);

// planWords.ts: a student's plan in words: whether it fits, why not, and what would make it fit. The numbers are the session's.
import type { PlannedStudent, Remedy } from '../session/protocol';
import { formatBytes, formatNumber } from './format';

/** Models that people ask for first; any other decoder of a known family will do. */
export const KNOWN_STUDENTS: readonly string[] = [
  'HuggingFaceTB/SmolLM2-135M-Instruct',
  'Qwen/Qwen2.5-0.5B-Instruct',
  'Qwen/Qwen3-0.6B',
  'meta-llama/Llama-3.2-1B-Instruct',
  'TinyLlama/TinyLlama-1.1B-Chat-v1.0',
  'mistralai/Mistral-7B-Instruct-v0.1',
  'meta-llama/Llama-2-7b-chat-hf',
  'meta-llama/Llama-2-13b-chat-hf',
];

export const PLAN_PARTS = [
  ['weightsBytes', 'Weights'],
  ['adapterBytes', 'Adapter'],
  ['optimizerBytes', 'Optimiser'],
  ['activationsBytes', 'Activations'],
  ['headBytes', 'Head'],
  ['cacheBytes', 'KV cache'],
  ['fixedBytes', 'Fixed'],
  ['totalBytes', 'Together'],
] as const;

export const STAGE_NAMES = { loading: 'Loading', training: 'Training', generation: 'Answering' } as const;
const WHILE = {
  loading: 'while it is loaded',
  training: 'while it is trained',
  generation: 'while it answers',
} as const;

export const SETTING_NAMES: Readonly<Record<string, string>> = {
  quantize: 'Quantisation',
  tier: 'Tier',
  rank: 'Rank',
  batch: 'Batch',
  length: 'Length',
  answers: 'Answers at once',
  newTokens: 'Tokens of an answer',
};

/** 134515008 → `135 million`. */
export function formatParameters(count: number): string {
  if (count >= 1e9) return `${(count / 1e9).toPrecision(3)} billion`;
  return count >= 1e6 ? `${(count / 1e6).toPrecision(3)} million` : formatNumber(count);
}

/** Whether it fits, a sentence each; the first is the verdict. */
export function verdictWords({ verdict, peak, peakStage, budgetBytes, limits, tensors }: PlannedStudent): string[] {
  const most = `${formatBytes(peak.totalBytes)} on the GPU at most, ${WHILE[peakStage]}`;
  const budget = budgetBytes === undefined ? '' : `, of a budget of ${formatBytes(budgetBytes)}`;
  const refused = tensors
    .filter(({ fit }) => fit === 'refused')
    .map(({ name, sizeBytes }) =>
      sizeBytes > limits!.maxBufferSize
        ? `The ${name} would take ${formatBytes(sizeBytes)}: the largest buffer of this GPU is ${formatBytes(limits!.maxBufferSize)}.`
        : `The ${name} would take ${formatBytes(sizeBytes)}, bound as one: this GPU binds at most ${formatBytes(limits!.maxStorageBufferBindingSize)}.`,
    );
  const unsaid =
    budgetBytes === undefined
      ? ['A browser does not say how much memory the GPU has: say it by “GPU memory at most”, if you know.']
      : [];
  switch (verdict) {
    case 'fits':
      return [`It fits: ${most}${budget}.`, ...unsaid];
    case 'too-large':
      return [`It does not fit: ${most}${budget}.`, ...refused];
    case 'unknown':
      return [`It takes ${most}.`, ...unsaid];
  }
}

/** `Batch 8 → 2`. */
export const remedyName = ({ setting, from, to }: Remedy): string =>
  `${SETTING_NAMES[setting] ?? setting} ${from} → ${to}`;

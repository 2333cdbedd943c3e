// chatStudent.test.ts: a student with a tokenizer and a chat template of its own in a run: its answers are trained to end with
// the template's end of turn, generation stops there, words of the data are no control tokens, what is too long is counted.
import { describe, expect, it } from 'vitest';
import { parseExperiment } from '../../../src/config/experiment';
import { openStudent } from '../../../src/session/load';
import { planRun } from '../../../src/session/plan';
import { prepare } from '../../../src/session/prepare';
import { openFileRoot } from '../../../src/sources/fileRoot';
import { llama3Like } from '../text/files';
import { tinyExperiment, tinyFiles } from './tinyRun';

const TEMPLATE =
  "{{ bos_token }}{% for m in messages %}<|start_header_id|>{{ m['role'] }}<|end_header_id|>\n\n{{ m['content'] }}<|eot_id|>{% endfor %}{% if add_generation_prompt %}<|start_header_id|>assistant<|end_header_id|>\n\n{% endif %}";
const EOS = 264;
const EOT = 267;
const ROOM = 1200;

const bytes = (value: unknown): Uint8Array =>
  new TextEncoder().encode(typeof value === 'string' ? value : JSON.stringify(value));

/** The tiny student with Llama-3's kind of tokenizer, whose ids all have a row among its 449, and room for bytes. */
function chatFiles(more: Record<string, unknown> = {}): Record<string, Uint8Array> {
  const files = tinyFiles();
  const config = JSON.parse(new TextDecoder().decode(files['student/config.json'])) as Record<string, unknown>;
  const added = {
    'config.json': { ...config, max_position_embeddings: ROOM },
    ...llama3Like(),
    'chat_template.jinja': TEMPLATE,
    ...more,
  };
  return {
    ...files,
    ...Object.fromEntries(Object.entries(added).map(([name, file]) => [`student/${name}`, bytes(file)])),
  };
}

const experimentWith = (prompt: object, student: object = {}): ReturnType<typeof parseExperiment> =>
  parseExperiment(
    tinyExperiment({
      student: {
        source: { kind: 'directory', path: 'student' },
        tokenizer: { kind: 'student' },
        quantize: 'none',
        tier: 'f32',
        ...student,
      },
      prompt: { promptSuffix: '', maxPromptTokens: 1000, maxAnswerTokens: 600, ...prompt },
    }),
  );

describe('a student with a chat template', () => {
  it.each([
    ['chat', EOT],
    ['alpaca', EOS],
    ['none', EOS],
  ] as const)(
    'wrapper %s: every trained answer ends with %i, sampled ones too, and both ids stop',
    async (wrapper, end) => {
      const files = openFileRoot({ kind: 'memory', files: chatFiles() });
      const experiment = experimentWith({ wrapper });
      const opened = await openStudent(experiment, files);
      expect(opened.eosIds).toEqual([EOS, 2, EOT]); // the tokenizer’s, config.json’s, the template’s
      const prepared = await prepare(experiment, files, opened.tokenizer, opened.config);
      expect(prepared.examples.length).toBe(12);
      expect(prepared.eosId).toBe(end);
      for (const { prompt, answer } of prepared.examples) {
        expect(answer.at(-1)).toBe(end);
        expect(answer.slice(0, -1).filter((id) => id >= 263 && id <= 268)).toEqual([]);
        expect(prompt.filter((id) => id === 263)).toHaveLength(1); // bos once, whoever writes it
      }
      for (const { teacher } of prepared.refineItems) expect(teacher.ids.at(-1)).toBe(end);
      expect((await planRun(experiment, files)).warnings).toEqual(prepared.warnings);
    },
  );

  it('control tokens in the data stay text', async () => {
    const files = chatFiles();
    const train = new TextDecoder().decode(files['train.jsonl']);
    files['train.jsonl'] = bytes(train.replaceAll(' is a', '<|eot_id|> is a'));
    const root = openFileRoot({ kind: 'memory', files });
    const experiment = experimentWith({ wrapper: 'chat' });
    const opened = await openStudent(experiment, root);
    const { examples } = await prepare(experiment, root, opened.tokenizer, opened.config);
    expect(examples).toHaveLength(12);
    for (const { answer } of examples) {
      expect(answer.filter((id) => id === EOT)).toHaveLength(1);
      expect(opened.tokenizer.tokenizer.decode(answer)).toContain('<|eot_id|>');
    }
  });

  it('what is too long is left out of training, refinement and test, and counted in each', async () => {
    const files = openFileRoot({ kind: 'memory', files: chatFiles() });
    const count = async (maxPromptTokens: number): Promise<[number, number, number, number]> => {
      const experiment = experimentWith({ wrapper: 'chat', maxPromptTokens });
      const opened = await openStudent(experiment, files);
      const prepared = await prepare(experiment, files, opened.tokenizer, opened.config);
      const { summary } = prepared.tasks[0]!;
      expect(prepared.examples.length + prepared.summaries[0]!.tooLong).toBe(12);
      expect(summary.testItems + summary.tooLong).toBe(5);
      for (const { prompt } of prepared.examples) expect(prompt.length).toBeLessThanOrEqual(maxPromptTokens);
      return [prepared.examples.length, prepared.refineItems.length, summary.testItems, summary.tooLong];
    };
    expect(await count(1000)).toEqual([12, 12, 5, 0]);
    expect(await count(10)).toEqual([0, 0, 0, 5]);
    // One token less than the longest prompt: that one is left out.
    const experiment = experimentWith({ wrapper: 'chat' });
    const opened = await openStudent(experiment, files);
    const { examples } = await prepare(experiment, files, opened.tokenizer, opened.config);
    const [some, refined] = await count(Math.max(...examples.map(({ prompt }) => prompt.length)) - 1);
    expect(some).toBeLessThan(12);
    expect(some).toBeGreaterThan(0);
    expect(refined).toBeLessThanOrEqual(some);
  });

  it('a tokenizer with more ids than the embedding has rows is refused when it is opened, and in a plan', async () => {
    const added = { [449]: { content: '<extra>', special: true } };
    const { 'tokenizer_config.json': config } = llama3Like({ added_tokens_decoder: added });
    const files = openFileRoot({ kind: 'memory', files: chatFiles({ 'tokenizer_config.json': config }) });
    const experiment = experimentWith({ wrapper: 'chat' });
    await expect(openStudent(experiment, files)).rejects.toThrow(/at most 449 ids.*got 450/s);
    await expect(planRun(experiment, files)).rejects.toThrow(/at most 449 ids.*got 450/s);
  });
});

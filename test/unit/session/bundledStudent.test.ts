// bundledStudent.test.ts: the student that comes with Pupil is the one its card describes, in the vocabulary of today's corpus,
// small enough, and it can do what the lesson needs: told to begin a chain, it reckons, looks up, and ends rightly.
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { openCheckpoint } from '../../../src/formats/checkpointIndex';
import { Generator } from '../../../src/model/generator';
import { Student } from '../../../src/model/student';
import { filesIn } from '../../../src/recipes/files';
import { modelCard } from '../../../src/report/modelCard';
import { loadTokenizer } from '../../../src/session/tokenizers';
import { openDiskRoot } from '../../../src/sources/disk';
import { lessonItems } from '../../../src/tasks/lesson/families';
import { lessonTokenizerFiles } from '../../../src/tasks/lesson/tokenizerFiles';
import { judgeItem } from '../../../src/tasks/score';
import { choicePrompt, COT_TRIGGER, numberPrompt, type TaskItem } from '../../../src/tasks/task';
import { testGpu } from '../../kernels/device';

const FOLDER = fileURLToPath(new URL('../../../public/students/lesson/', import.meta.url));
const text = (name: string): string => readFileSync(join(FOLDER, name), 'utf8');

interface Summary {
  sha256: string;
  tokens: number;
  settings: { steps: number };
  rows: { step: number; loss: number; eval_loss?: number }[];
  before?: Summary;
}

describe('the bundled student', () => {
  it('is the one that its card describes, with a loss that fell, in at most 6 MB', () => {
    const log = JSON.parse(text('pretraining.json')) as Summary;
    expect(text('README.md')).toBe(modelCard(log as never));
    const sha = createHash('sha256')
      .update(readFileSync(join(FOLDER, 'model.safetensors')))
      .digest('hex');
    expect(log.sha256).toBe(sha);
    expect(text('README.md')).toContain(sha);
    expect(text('README.md')).toContain(log.tokens.toLocaleString('en'));
    expect(log.rows.map(({ step }) => step)).toEqual(Array.from({ length: log.settings.steps }, (_, i) => i + 1));
    expect(log.rows.at(-1)!.eval_loss!).toBeLessThan(0.8);
    expect(log.before!.rows).toHaveLength(log.before!.settings.steps);
    expect(text('README.md')).toContain(log.before!.sha256);
    const bytes = readdirSync(FOLDER).reduce((sum, name) => sum + statSync(join(FOLDER, name)).size, 0);
    expect(bytes).toBeLessThan(6e6);
  });

  it('has the vocabulary of the corpus', () => {
    for (const [name, value] of Object.entries(lessonTokenizerFiles(192))) {
      expect(JSON.parse(text(name)), name).toEqual(JSON.parse(JSON.stringify(value)));
    }
  });

  it.each([
    ['stories', 'First,', 14],
    ['sums', 'First,', 14],
    ['kinds', 'The thing that', 14],
    ['tools', 'The thing that can', 14],
  ] as const)(
    'has reasoning latent in it: led to begin a chain about %s, it ends rightly',
    { timeout: 300_000 },
    async (family, lead, least) => {
      const root = openDiskRoot(FOLDER);
      const student = await Student.load(await testGpu(), await openCheckpoint(root.open, 'lesson'), {
        quantize: 'none',
      });
      const { tokenizer } = await loadTokenizer({ kind: 'student' }, root, filesIn(root, ''));
      const items = lessonItems(family, 'development', { count: 16, seed: 7 });
      const prompt = (item: TaskItem): string => (item.choices === undefined ? numberPrompt(item) : choicePrompt(item));
      const prompts = items.map((item) =>
        tokenizer.encode(`${prompt(item)} ${COT_TRIGGER}\n${lead}`, { addBos: true }),
      );
      const generator = new Generator(student, undefined, {
        batchSize: items.length,
        maxPromptTokens: 96,
        maxNewTokens: 72,
        temperature: 0,
        eosIds: tokenizer.eosIds,
      });
      await generator.ready();
      const answers = await generator.generate(prompts, { seed: 0, stream: 'led' });
      const right = answers.filter(({ ids }, i) => judgeItem('mixed', items[i]!, tokenizer.decode(ids)).correct);
      expect(right.length).toBeGreaterThanOrEqual(least);
      generator.destroy();
      student.destroy();
    },
  );
});

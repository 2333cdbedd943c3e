// bundledStudent.test.ts: the student that comes with Pupil is the one its card describes, in the vocabulary of today's corpus,
// small enough, and it can do what the lesson needs: told to begin a chain, it reckons and ends with the right number.
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { openCheckpoint } from '../../../src/formats/checkpointIndex';
import { Generator } from '../../../src/model/generator';
import { Student } from '../../../src/model/student';
import { filesIn } from '../../../src/recipes/files';
import { loadTokenizer } from '../../../src/session/tokenizers';
import { openDiskRoot } from '../../../src/sources/disk';
import { lessonItems } from '../../../src/tasks/lesson/families';
import { lessonTokenizerFiles } from '../../../src/tasks/lesson/tokenizerFiles';
import { COT_TRIGGER, numberPrompt } from '../../../src/tasks/task';
import { testGpu } from '../../kernels/device';

const FOLDER = fileURLToPath(new URL('../../../public/students/lesson/', import.meta.url));
const text = (name: string): string => readFileSync(join(FOLDER, name), 'utf8');

interface Summary {
  sha256: string;
  tokens: number;
  settings: { steps: number };
  rows: { step: number; loss: number; eval_loss?: number }[];
}

describe('the bundled student', () => {
  it('is the one that its card describes, with a loss that fell, in at most 6 MB', () => {
    const log = JSON.parse(text('pretraining.json')) as Summary;
    const sha = createHash('sha256')
      .update(readFileSync(join(FOLDER, 'model.safetensors')))
      .digest('hex');
    expect(log.sha256).toBe(sha);
    expect(text('README.md')).toContain(sha);
    expect(text('README.md')).toContain(log.tokens.toLocaleString('en'));
    expect(log.rows.map(({ step }) => step)).toEqual(Array.from({ length: log.settings.steps }, (_, i) => i + 1));
    expect(log.rows.at(-1)!.eval_loss!).toBeLessThan(0.8);
    const bytes = readdirSync(FOLDER).reduce((sum, name) => sum + statSync(join(FOLDER, name)).size, 0);
    expect(bytes).toBeLessThan(6e6);
  });

  it('has the vocabulary of the corpus', () => {
    for (const [name, value] of Object.entries(lessonTokenizerFiles(192))) {
      expect(JSON.parse(text(name)), name).toEqual(JSON.parse(JSON.stringify(value)));
    }
  });

  it(
    'has reasoning latent in it: led to begin a chain, it ends with the right number',
    { timeout: 300_000 },
    async () => {
      const root = openDiskRoot(FOLDER);
      const student = await Student.load(await testGpu(), await openCheckpoint(root.open, 'lesson'), {
        quantize: 'none',
      });
      const { tokenizer } = await loadTokenizer({ kind: 'student' }, root, filesIn(root, ''));
      const items = lessonItems('stories', 'development', { count: 16, seed: 7 });
      const prompts = items.map((item) =>
        tokenizer.encode(`${numberPrompt(item)} ${COT_TRIGGER}\nFirst,`, { addBos: true }),
      );
      const generator = new Generator(student, undefined, {
        batchSize: items.length,
        maxPromptTokens: 96,
        maxNewTokens: 60,
        temperature: 0,
        eosIds: tokenizer.eosIds,
      });
      await generator.ready();
      const answers = await generator.generate(prompts, { seed: 0, stream: 'led' });
      const right = answers.filter(({ ids }, i) =>
        tokenizer.decode(ids).endsWith(`The answer is ${items[i]!.target}.`),
      );
      expect(right.length).toBeGreaterThanOrEqual(14);
      generator.destroy();
      student.destroy();
    },
  );
});

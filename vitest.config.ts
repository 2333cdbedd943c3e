// vitest.config.ts: the test projects. `node` runs on Dawn in Node, `lavapipe` repeats the GPU tests on a second driver
// that offers f16 (where it is installed and PUPIL_TEST_LAVAPIPE is set), `browser` runs test/browser inside Chromium on
// SwiftShader, `long` is everything that takes minutes (where PUPIL_TEST_LONG is set or test/long is named). It says
// nothing about types and lint: scripts/test.mjs does all of it in order.
import { svelte } from '@sveltejs/vite-plugin-svelte';
import { playwright } from '@vitest/browser-playwright';
import { defineConfig, type TestProjectInlineConfiguration } from 'vitest/config';
import { BaseSequencer, type TestSpecification } from 'vitest/node';
import { browserFlags, findBrowser } from './scripts/browser.mjs';
import { lavapipeIcd, vulkanEnvironment } from './scripts/vulkan.mjs';
import { hubCommands } from './test/support/hubCommands';

// Here, so that plain `npx vitest run` finds a driver too: the workers are forks and inherit this environment.
Object.assign(process.env, vulkanEnvironment());

const lavapipe = lavapipeIcd();
const pupilData = process.env.PUPIL_DATA ?? '';
const executablePath = findBrowser();

/** Fetched by a dynamic import: found while a test runs, they would have the page of that test loaded anew. */
const LATE = ['@observablehq/plot', '@huggingface/transformers'];

/**
 * Files of the Node project that take longest, longest first: two workers that begin with them end at about the same time.
 * Where it has no times yet, Vitest would begin with large files, and come to these last.
 */
const LONGEST = [
  ...['cli/supervisedFaults', 'cli/lesson', 'page/labRun', 'golden/families', 'cli/seriesRun', 'unit/session/resume'],
  ...['cli/inspect', 'kernels/attention', 'cli/fullLocal', 'unit/session/talk', 'cli/gridWorker', 'kernels/linear'],
  ...['golden/exportFamilies', 'unit/model/studentPlanMeasured', 'unit/session/ask', 'unit/session/pretrain'],
  ...['unit/session/lostDevice', 'unit/session/run', 'unit/session/phaseResults', 'unit/session/control'],
];

class LongFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const place = ({ moduleId }: TestSpecification): number => {
      const at = LONGEST.findIndex((name) => moduleId.endsWith(`/test/${name}.test.ts`));
      return at < 0 ? LONGEST.length : at;
    };
    return (await super.sort(files)).sort((a, b) => place(a) - place(b)); // stable: others stay as they were
  }
}

const projects: TestProjectInlineConfiguration[] = [
  {
    extends: true,
    test: {
      name: 'node',
      include: ['test/{architecture,unit,kernels,gradients,golden,cli,page}/**/*.test.ts'],
      css: { include: [/\.css\?raw$/] }, // Vitest empties style sheets, also those that are read as text
    },
  },
  {
    extends: true,
    plugins: [svelte()],
    server: { fs: { allow: ['.', ...(pupilData === '' ? [] : [pupilData])] } },
    // Plot is fetched late (components/Figure.svelte): found while a test runs, it would reload that test.
    optimizeDeps: { entries: ['test/browser/**/*.test.ts', 'src/worker/*.ts'], include: LATE },
    worker: { format: 'es' },
    test: {
      name: 'browser',
      include: ['test/browser/**/*.test.ts'],
      provide: { pupilData, long: process.env.PUPIL_TEST_LONG !== undefined },
      browser: {
        enabled: true,
        // Playwright's headless *shell* has no WebGPU: the full browser is told to be headless by its own flag.
        headless: false,
        screenshotFailures: false,
        commands: hubCommands,
        provider: playwright({
          launchOptions: {
            headless: false,
            args: browserFlags({ gpu: 'software' }),
            ...(executablePath === undefined ? {} : { executablePath }),
          },
        }),
        instances: [{ browser: 'chromium' }],
      },
    },
  },
];

if (process.env.PUPIL_TEST_LONG || process.argv.some((argument) => argument.includes('test/long'))) {
  projects.push({
    extends: true,
    test: { name: 'long', include: ['test/long/**/*.test.ts'], testTimeout: 3_600_000, hookTimeout: 600_000 },
  });
}
if (process.env.PUPIL_TEST_LAVAPIPE && lavapipe !== undefined) {
  projects.push({
    extends: true,
    test: {
      name: 'lavapipe',
      // A second driver repeats the kernels, and of the golden numbers those of tier f16; all of them where there is time.
      include: process.env.PUPIL_TEST_LONG
        ? ['test/{kernels,golden}/**/*.test.ts']
        : ['test/kernels/**/*.test.ts', 'test/golden/f16*.test.ts'],
      env: vulkanEnvironment({ ...process.env, PUPIL_NODE_ADAPTER: 'lavapipe' }),
    },
  });
}

declare module 'vitest' {
  interface ProvidedContext {
    /** PUPIL_DATA, or '' where unset. Files under it are served at `/@fs/<path>`. */
    pupilData: string;
    /** Whether PUPIL_TEST_LONG is set. */
    long: boolean;
  }
}

export default defineConfig({
  test: {
    testTimeout: 120_000,
    hookTimeout: 120_000,
    expect: { poll: { timeout: 30_000 } }, // one second is little on a busy machine
    // Dawn keeps native state per process, and its driver reads the environment of the process: forks, not threads.
    pool: 'forks',
    maxWorkers: 2,
    sequence: { sequencer: LongFirst },
    projects,
  },
});

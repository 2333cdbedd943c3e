// vitest.config.ts: the test projects. `node` runs everything on Dawn in Node; `browser` runs test/browser in Chromium.
import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    testTimeout: 120_000,
    hookTimeout: 120_000,
    include: ['test/{architecture,unit,kernels,gradients,golden,cli}/**/*.test.ts'],
  },
});

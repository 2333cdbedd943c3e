// vite.cli.config.ts: builds the command line (src/cli/pupil.ts → dist/cli/pupil.js) for Node 20. Packages stay outside the
// bundle: they are installed beside it.
import { defineConfig } from 'vite';

export default defineConfig({
  publicDir: false, // what the page serves is no part of the command line
  ssr: { target: 'node' },
  build: {
    ssr: 'src/cli/pupil.ts',
    outDir: 'dist/cli',
    emptyOutDir: true,
    target: 'node20',
    sourcemap: true,
    minify: false,
    rollupOptions: {
      external: ['webgpu', 'playwright-core', '@puppeteer/browsers', '@huggingface/transformers'],
      output: { format: 'es', entryFileNames: 'pupil.js', chunkFileNames: '[name]-[hash].js' },
    },
  },
});

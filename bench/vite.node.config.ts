// vite.node.config.ts: builds the benchmark for Dawn in Node (bench/node.ts → dist/bench-node/node.js), the peer included.
import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vite';

export default defineConfig({
  root: fileURLToPath(new URL('.', import.meta.url)),
  publicDir: false,
  ssr: { target: 'node', noExternal: true, external: ['webgpu'] },
  build: {
    ssr: 'node.ts',
    outDir: fileURLToPath(new URL('../dist/bench-node', import.meta.url)),
    emptyOutDir: true,
    target: 'node20',
  },
});

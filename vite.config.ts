// vite.config.ts: builds the page (index.html → dist/page) and serves it while developing. The command line has a build of
// its own in vite.cli.config.ts, the tests theirs in vitest.config.ts.
import { svelte } from '@sveltejs/vite-plugin-svelte';
import { defineConfig } from 'vite';
import { pageFiles } from './scripts/pageFiles.mjs';
import { pageOffline } from './scripts/pageOffline.mjs';
import { contentSecurityPolicy, pagePolicy } from './scripts/pagePolicy.mjs';
import { ISOLATION_HEADERS } from './scripts/staticServer.mjs';

const headers = (options = {}) => ({ ...ISOLATION_HEADERS, 'Content-Security-Policy': contentSecurityPolicy(options) });

export default defineConfig({
  base: './', // the same files work under any path
  plugins: [svelte(), pageFiles(), pagePolicy(), pageOffline()],
  worker: { format: 'es' },
  server: { host: '127.0.0.1', headers: headers({ development: true }) },
  preview: { host: '127.0.0.1', headers: headers() },
  build: {
    outDir: 'dist/page',
    emptyOutDir: true,
    target: 'esnext', // every browser with WebGPU is newer than any older target
    sourcemap: true,
    chunkSizeWarningLimit: 2048,
  },
});

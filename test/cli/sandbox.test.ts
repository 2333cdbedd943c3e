// sandbox.test.ts: a real bubblewrap around a real browser, with ordinary files for cards: inside, only one of four is there,
// and the browser computes there as it does outside. Needs bubblewrap and the right to use it; says by name where it has not.
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { findBrowser } from '../../scripts/browser.mjs';
import { launchBrowser } from '../../src/cli/browser';
import { cardMounts, cardOf, expectSandbox, type Card, type Mount } from '../../src/cli/cards';
import { startFileServer } from '../../src/cli/fileServer';
import { thisMachine, type Machine } from '../../src/cli/machine';
import { sandboxed } from '../../src/cli/pinnedBrowser';
import { madeUpMachine, nvidiaFiles } from './madeUpMachine';
import { pupil } from './process';

const machine = thisMachine();
const card: Card = cardOf(madeUpMachine({ files: nvidiaFiles() }), 1); // /dev/nvidia0, the second on the bus
const obstacle = ((): string | undefined => {
  try {
    expectSandbox(machine, card);
    return undefined;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
})();

let folder: string;

/** A tree of ordinary files in place of device files; each holds its own name. */
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'pupil-sandbox-'));
  for (const name of Object.keys(nvidiaFiles()).filter((path) => path.startsWith('/dev/') && path !== '/dev/shm/x')) {
    mkdirSync(dirname(join(folder, name)), { recursive: true });
    writeFileSync(join(folder, name), name);
  }
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** What the second of four cards gets, from the tree; /dev/shm is the machine's. */
const mounts = (): Mount[] =>
  cardMounts(madeUpMachine({ files: nvidiaFiles() }), card).map(({ from, to }) => ({
    from: to === '/dev/shm' ? from : join(folder, from),
    to,
  }));

describe.skipIf(obstacle !== undefined)(`bubblewrap${obstacle === undefined ? '' : `: ${obstacle}`}`, () => {
  it('shows a program one card of four, its render node and the shared files, and nothing else of a GPU', () => {
    const script = join(folder, 'look.sh');
    writeFileSync(script, '#!/bin/sh\nls -1 /dev /dev/dri; cat /dev/nvidia0; echo; echo "given: $*"\n', {
      mode: 0o755,
    });
    const program = sandboxed(machine, card, mounts(), script);
    try {
      const { stdout, stderr, status } = spawnSync(program.executablePath, ['--flag', 'two words'], {
        encoding: 'utf8',
      });
      expect([status, stderr]).toEqual([0, '']);
      const names = stdout.split('\n');
      expect(names.filter((name) => /nvidia|render|card/.test(name)).sort()).toEqual(
        ['/dev/nvidia0', 'card2', 'nvidia-uvm', 'nvidia-uvm-tools', 'nvidia0', 'nvidiactl', 'renderD129'].sort(),
      );
      expect(names).toContain('given: --flag two words');
    } finally {
      program.close();
    }
  });

  it('is refused before anything starts where a second card would be seen', () => {
    const second = { from: join(folder, '/dev/nvidia3'), to: '/dev/nvidia3' };
    expect(() => sandboxed(machine, card, [...mounts(), second], '/bin/true')).toThrow(/sees nvidia0, nvidia3/);
  });

  it.runIf(process.getuid?.() === 0)('makes no files of other cards, though root', () => {
    const script = join(folder, 'make.sh');
    writeFileSync(script, '#!/bin/sh\nmknod /dev/nvidia1 c 195 1 2>&1; ls /dev/nvidia1 2>&1\n', { mode: 0o755 });
    const program = sandboxed(machine, card, mounts(), script);
    try {
      const { stdout } = spawnSync(program.executablePath, { encoding: 'utf8' });
      expect(stdout).toMatch(/Operation not permitted/);
      expect(stdout).toMatch(/No such file/);
    } finally {
      program.close();
    }
  });

  it('runs a browser that computes, whose processes see one card and are named as outside', async () => {
    const page = join(folder, 'page');
    mkdirSync(page);
    writeFileSync(join(page, 'index.html'), '<!doctype html><title>probe</title>');
    const server = await startFileServer({ page });
    const program = sandboxed(machine, card, mounts(), findBrowser()!);
    try {
      const { executablePath } = program;
      const browser = await launchBrowser({ gpu: 'software', executablePath });
      try {
        const opened = await browser.open(server.pageUrl);
        const doubled = await browser.guard(opened.evaluate(DOUBLE));
        expect(doubled).toEqual([2, 4, 6, 8]);
        const gpu = await browser.gpuProcessId();
        expect(gpu).toBeGreaterThan(0);
        // Of this process, as the kernel tells it here: the number is the same inside and outside.
        expect(readFileSync(`/proc/${gpu}/cmdline`, 'utf8')).toContain('--type=gpu-process');
        expect(cardsSeenBy(machine, gpu!)).toEqual(['nvidia0']);
      } finally {
        await browser.close();
      }
    } finally {
      program.close();
      await server.close();
    }
  });

  it('runs the built page: the self-check of some kernels passes in it', async () => {
    const program = sandboxed(machine, card, mounts(), findBrowser()!);
    try {
      const env = { PUPIL_BROWSER: program.executablePath };
      const { code, lines } = await pupil(['check', '--filter', 'rmsnorm', '--gpu', 'software', '--json'], { env });
      expect(code).toBe(0);
      const results = lines.filter(({ status }) => status !== undefined);
      expect(results.length).toBeGreaterThan(3);
      expect(results.every(({ status }) => status === 'passed')).toBe(true);
    } finally {
      program.close();
    }
  });
});

/** The cards in the /dev of a process. */
function cardsSeenBy(here: Machine, processId: number): string[] {
  return here.list(`/proc/${processId}/root/dev`).filter((name) => /^nvidia\d+$/.test(name));
}

/** A small WebGPU computation in the page. */
const DOUBLE = `(async () => {
  const adapter = await navigator.gpu.requestAdapter();
  const device = await adapter.requestDevice();
  const module = device.createShaderModule({ code: \`
    @group(0) @binding(0) var<storage, read_write> x: array<f32>;
    @compute @workgroup_size(4) fn main(@builtin(global_invocation_id) id: vec3<u32>) { x[id.x] *= 2.0; }\` });
  const pipeline = device.createComputePipeline({ layout: 'auto', compute: { module, entryPoint: 'main' } });
  const usage = GPUBufferUsage;
  const buffer = device.createBuffer({ size: 16, usage: usage.STORAGE | usage.COPY_SRC | usage.COPY_DST });
  const staging = device.createBuffer({ size: 16, usage: usage.MAP_READ | usage.COPY_DST });
  device.queue.writeBuffer(buffer, 0, new Float32Array([1, 2, 3, 4]));
  const group = device.createBindGroup({ layout: pipeline.getBindGroupLayout(0), entries: [{ binding: 0, resource: { buffer } }] });
  const encoder = device.createCommandEncoder();
  const pass = encoder.beginComputePass();
  pass.setPipeline(pipeline);
  pass.setBindGroup(0, group);
  pass.dispatchWorkgroups(1);
  pass.end();
  encoder.copyBufferToBuffer(buffer, 0, staging, 0, 16);
  device.queue.submit([encoder.finish()]);
  await staging.mapAsync(GPUMapMode.READ);
  return [...new Float32Array(staging.getMappedRange())];
})()`;

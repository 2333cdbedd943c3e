// takenMemory.ts: a software adapter that has no more memory: its memory is that of this process, whose address space is held
// to what it has while a large buffer is asked for. The driver's own allocation fails then; no answer of it is made up.
// Linux, Dawn in Node; in Chrome, a whole GPU process that gets nothing more.
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';

/** What everything else in this process may take meanwhile. */
const ELSE_BYTES = 3_000_000;
/** More than this process may have freed in one piece: the driver has to ask its system for it. */
const ASKED_BYTES = 512 * 2 ** 20;

/** Whether this machine can do it. */
export function mayTakeMemory(): boolean {
  if (process.platform !== 'linux') return false;
  try {
    execFileSync('prlimit', ['--version'], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}

/** A size of a process as its system tells it. */
function bytesOf(pid: number, what: 'VmSize' | 'VmData'): number {
  return Number(new RegExp(`${what}:\\s+(\\d+) kB`).exec(readFileSync(`/proc/${pid}/status`, 'utf8'))![1]) * 1024;
}

/** The soft limit alone: it can be lifted again. */
function holdTo(pid: number, what: 'as' | 'data', bytes: number | 'unlimited'): void {
  execFileSync('prlimit', ['--pid', String(pid), `--${what}=${bytes}:unlimited`]);
}

/** This process gets no more memory than it has, until it ends. Chrome reserves addresses in advance: the data counts. */
export function takeMemoryOfProcess(pid: number): void {
  holdTo(pid, 'data', bytesOf(pid, 'VmData'));
}

/**
 * The device's next buffer that fits finds no memory: it is asked for with 512 MiB, while the process may take no more than it
 * has. Where memory is there, nothing happens but a buffer that is too large.
 */
export function takeMemory(device: GPUDevice, fits: (descriptor: GPUBufferDescriptor) => boolean): void {
  const create = device.createBuffer.bind(device);
  device.createBuffer = (descriptor) => {
    if (!fits(descriptor)) return create(descriptor);
    device.createBuffer = create;
    holdTo(process.pid, 'as', bytesOf(process.pid, 'VmSize') + ELSE_BYTES);
    try {
      return create({ ...descriptor, size: Math.min(ASKED_BYTES, device.limits.maxBufferSize) });
    } finally {
      holdTo(process.pid, 'as', 'unlimited');
    }
  };
}

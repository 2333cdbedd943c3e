// vulkan.mjs: decides which Vulkan driver Dawn for Node uses, by environment variables. It must run before the process
// that loads `webgpu` starts (or at least before that package is imported). It does nothing outside Linux: Dawn uses
// Metal and D3D12 there.
import { existsSync, mkdirSync, readFileSync, readdirSync, realpathSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { cacheFolder, findBrowser } from './browser.mjs';

const ICD_FOLDERS = ['/usr/share/vulkan/icd.d', '/etc/vulkan/icd.d', '/usr/local/share/vulkan/icd.d'];
/** Where clusters and containers put NVIDIA's driver files; no loader looks there by itself. */
const OTHER_ICD_FOLDERS = ['/usr/local/nvidia/share/vulkan/icd.d', '/usr/local/nvidia/vulkan/icd.d'];
const SOFTWARE_ICD = /lvp|gfxstream|swiftshader|virtio/;

/** @param {string} folder */
function list(folder) {
  try {
    return readdirSync(folder).map((name) => path.join(folder, name));
  } catch {
    return [];
  }
}

/** @param {readonly string[]} folders @param {(folder: string) => string[]} look */
const hardwareIcds = (folders, look) =>
  folders.flatMap(look).filter((file) => file.endsWith('.json') && !SOFTWARE_ICD.test(file));

/** A GPU's device node. @param {(folder: string) => string[]} look */
function hasHardwareDevice(look) {
  const nodes = [...look('/dev'), ...look('/dev/dri')];
  return nodes.some((node) => /^\/dev\/(nvidia\d+|dri\/renderD\d+|dxg)$/.test(node));
}

/** A GPU's device node and a driver for it. A driver alone proves nothing: Mesa installs all of them at once. */
export function hasHardwareVulkan() {
  return hasHardwareDevice(list) && hardwareIcds([...ICD_FOLDERS, ...OTHER_ICD_FOLDERS], list).length > 0;
}

/**
 * The environment variables that show a Vulkan loader NVIDIA's driver file where it lies in none of the loader's folders;
 * nothing where a loader finds a driver by itself or was told of one.
 * @param {NodeJS.ProcessEnv} env
 * @param {(folder: string) => string[]} look the paths in a folder
 * @returns {Record<string, string>}
 */
export function hardwareDriver(env = process.env, look = list) {
  if (process.platform !== 'linux' || env['VK_ICD_FILENAMES'] || env['VK_DRIVER_FILES']) return {};
  const [icd] = hardwareIcds(OTHER_ICD_FOLDERS, look);
  const found = hardwareIcds(ICD_FOLDERS, look).some((file) => file.includes('nvidia'));
  if (icd === undefined || found || !hasHardwareDevice(look)) return {};
  return driver(icd);
}

/**
 * SwiftShader's driver file, which comes beside Chromium and Chrome.
 * @param {NodeJS.ProcessEnv} env
 * @returns {string | undefined}
 */
export function swiftshaderIcd(env = process.env) {
  const folders = ['/usr/lib/chromium', '/usr/lib/chromium-browser', '/opt/google/chrome', '/opt/microsoft/msedge'];
  const quick = folders.map((folder) => path.join(folder, 'vk_swiftshader_icd.json')).find((file) => existsSync(file));
  if (quick !== undefined) return quick;
  const browser = findBrowser(env);
  if (browser === undefined) return undefined;
  const beside = path.join(path.dirname(realpathSync(browser)), 'vk_swiftshader_icd.json');
  return existsSync(beside) ? beside : undefined;
}

/** lavapipe's driver file, if Dawn takes it: Mesa 22.3 (Vulkan 1.3) of Debian 12 it refuses. @returns {string | undefined} */
export function lavapipeIcd() {
  for (const file of ICD_FOLDERS.flatMap(list)) {
    if (!/lvp_icd.*\.json$/.test(file)) continue;
    try {
      const version = /** @type {{ ICD: { api_version: string } }} */ (JSON.parse(readFileSync(file, 'utf8'))).ICD;
      const [major = 0, minor = 0] = version.api_version.split('.').map(Number);
      if (major > 1 || (major === 1 && minor >= 4)) return file;
    } catch {
      // not a driver file: look on
    }
  }
  return undefined;
}

/** Both names of the variable: new loaders prefer the second. @param {string} icd */
const driver = (icd) => ({ VK_ICD_FILENAMES: icd, VK_DRIVER_FILES: icd });

/**
 * Chromium brings a Vulkan loader of its own; where the system has none, Dawn is shown that one. Only the loader is put
 * on the library path (through a folder with one link), not Chromium's other libraries.
 * @param {string} icd
 * @param {NodeJS.ProcessEnv} env
 * @returns {Record<string, string>}
 */
function loaderEnvironment(icd, env) {
  const systemFolders = ['/usr/lib/x86_64-linux-gnu', '/usr/lib/aarch64-linux-gnu', '/usr/lib64', '/usr/lib', '/lib64'];
  if (systemFolders.some((folder) => existsSync(path.join(folder, 'libvulkan.so.1')))) return {};
  const bundled = path.join(path.dirname(icd), 'libvulkan.so.1');
  if (!existsSync(bundled)) return {};
  const folder = path.join(cacheFolder(env), 'vulkan-loader');
  const link = path.join(folder, 'libvulkan.so.1');
  mkdirSync(folder, { recursive: true });
  try {
    symlinkSync(bundled, link);
  } catch (error) {
    if (/** @type {NodeJS.ErrnoException} */ (error).code !== 'EEXIST') throw error;
  }
  return { LD_LIBRARY_PATH: [folder, env['LD_LIBRARY_PATH']].filter((part) => !!part).join(':') };
}

/**
 * The environment variables to set for Dawn in Node.
 * PUPIL_NODE_ADAPTER: `swiftshader`, `lavapipe`, or `default` (leave everything as it is). Unset: a given
 * VK_ICD_FILENAMES or VK_DRIVER_FILES is respected, then a hardware GPU, then SwiftShader, then lavapipe.
 * @param {NodeJS.ProcessEnv} env
 * @returns {Record<string, string>}
 * @throws {Error} when PUPIL_NODE_ADAPTER names an adapter that is not installed or not known.
 */
export function vulkanEnvironment(env = process.env) {
  if (process.platform !== 'linux') return {};
  const wanted = env['PUPIL_NODE_ADAPTER'];
  if (wanted !== undefined && !['', 'swiftshader', 'lavapipe', 'default'].includes(wanted)) {
    throw new Error(`PUPIL_NODE_ADAPTER: expected swiftshader, lavapipe or default, got ${wanted}`);
  }
  if (wanted === 'default') return {};
  if (!wanted && (env['VK_ICD_FILENAMES'] || env['VK_DRIVER_FILES'])) return {};
  if (!wanted && hasHardwareVulkan()) return hardwareDriver(env);
  if (wanted !== 'lavapipe') {
    const icd = swiftshaderIcd(env);
    if (icd !== undefined) return { ...driver(icd), ...loaderEnvironment(icd, env) };
    if (wanted === 'swiftshader') {
      throw new Error(
        'PUPIL_NODE_ADAPTER=swiftshader: vk_swiftshader_icd.json was not found; install Chromium or Chrome',
      );
    }
  }
  const icd = lavapipeIcd();
  if (icd !== undefined) return { ...driver(icd), XDG_RUNTIME_DIR: env['XDG_RUNTIME_DIR'] || tmpdir() };
  if (wanted === 'lavapipe') {
    throw new Error('PUPIL_NODE_ADAPTER=lavapipe: no lavapipe of Mesa 25 or newer; install mesa-vulkan-drivers');
  }
  return {};
}

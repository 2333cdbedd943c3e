// browser.mjs: finds a Chrome, Chromium or Edge on this machine, gets one where there is none, and knows the flags under
// which its WebGPU works headless. It does not launch anything: src/cli/browser.ts and vitest.config.ts do. Plain
// JavaScript, because scripts use it before anything is built; the CLI's bundle contains it as well.
import { spawnSync } from 'node:child_process';
import { accessSync, constants, existsSync, readFileSync, statSync } from 'node:fs';
import { homedir } from 'node:os';
import path from 'node:path';

/** No usable browser. `hint` says what to install. */
export class BrowserMissingError extends Error {
  /** @param {string} message @param {string} hint */
  constructor(message, hint) {
    super(message);
    this.name = 'BrowserMissingError';
    this.hint = hint;
  }
}

const INSTALL_HINT =
  'Install Google Chrome, Chromium or Microsoft Edge, or set PUPIL_BROWSER to the full path of its executable.';

const COMMANDS = [
  'google-chrome-stable',
  'google-chrome',
  'chrome',
  'chromium',
  'chromium-browser',
  'microsoft-edge-stable',
  'microsoft-edge',
];

/** @param {string} file */
function isExecutable(file) {
  try {
    accessSync(file, constants.X_OK);
    return statSync(file).isFile();
  } catch {
    return false;
  }
}

/** Folder for what Pupil downloads for itself (a browser), outside the project so that every checkout shares it. */
export function cacheFolder(env = process.env) {
  if (env['PUPIL_CACHE']) return path.resolve(env['PUPIL_CACHE']);
  if (process.platform === 'win32' && env['LOCALAPPDATA']) return path.join(env['LOCALAPPDATA'], 'pupil');
  if (process.platform === 'darwin') return path.join(homedir(), 'Library', 'Caches', 'pupil');
  return path.join(env['XDG_CACHE_HOME'] || path.join(homedir(), '.cache'), 'pupil');
}

/**
 * Where browsers usually are, best first.
 * @param {NodeJS.ProcessEnv} env
 * @param {NodeJS.Platform} platform
 * @returns {string[]}
 */
export function browserCandidates(env = process.env, platform = process.platform) {
  if (platform === 'darwin') {
    const apps = ['/Applications', path.join(homedir(), 'Applications')];
    return apps.flatMap((folder) =>
      ['Google Chrome', 'Chromium', 'Microsoft Edge'].map((name) => `${folder}/${name}.app/Contents/MacOS/${name}`),
    );
  }
  if (platform === 'win32') {
    const roots = [env['PROGRAMFILES'], env['PROGRAMFILES(X86)'], env['LOCALAPPDATA']].filter((root) => !!root);
    return roots.flatMap((root) =>
      [
        'Google\\Chrome\\Application\\chrome.exe',
        'Chromium\\Application\\chrome.exe',
        'Microsoft\\Edge\\Application\\msedge.exe',
      ].map((tail) => `${root}\\${tail}`),
    );
  }
  const folders = (env['PATH'] ?? '').split(path.delimiter).filter((folder) => folder !== '');
  const onPath = COMMANDS.flatMap((command) => folders.map((folder) => path.join(folder, command)));
  const usual = [
    '/opt/google/chrome/chrome',
    '/usr/lib/chromium/chromium',
    '/usr/lib/chromium-browser/chromium-browser',
    '/opt/microsoft/msedge/msedge',
  ];
  return [...onPath, ...usual];
}

/**
 * Whether the file starts as a browser. Ubuntu's `chromium-browser` is a stub that only asks for a snap; on Windows and
 * macOS an existing application is believed, since `--version` may open a window there.
 * @param {string} file
 */
function answers(file) {
  if (process.platform !== 'linux') return true;
  const result = spawnSync(file, ['--version'], { encoding: 'utf8', timeout: 30_000 });
  return result.status === 0 && /chrom|edge/i.test(result.stdout);
}

/** Chrome that an earlier {@link ensureBrowser} downloaded. @param {NodeJS.ProcessEnv} env */
function downloadedBrowser(env) {
  try {
    const file = readFileSync(path.join(cacheFolder(env), 'browser.txt'), 'utf8').trim();
    return file !== '' && existsSync(file) ? file : undefined;
  } catch {
    return undefined;
  }
}

/**
 * The executable of a browser with WebGPU, or undefined. PUPIL_BROWSER wins over everything.
 * @param {NodeJS.ProcessEnv} env
 * @returns {string | undefined}
 * @throws {BrowserMissingError} when PUPIL_BROWSER is set and names no executable file.
 */
export function findBrowser(env = process.env) {
  const wanted = env['PUPIL_BROWSER'];
  if (wanted) {
    if (isExecutable(wanted)) return wanted;
    throw new BrowserMissingError(
      `findBrowser: PUPIL_BROWSER is ${wanted}, which is not an executable file`,
      INSTALL_HINT,
    );
  }
  const found = browserCandidates(env).find((file) => isExecutable(file) && answers(file));
  return found ?? downloadedBrowser(env);
}

/** True on Debian, Ubuntu and their kin, when we may install packages. */
function mayUseApt() {
  return process.platform === 'linux' && process.getuid?.() === 0 && spawnSync('apt-get', ['--version']).status === 0;
}

/**
 * A browser's executable; gets one where none is found: apt as root on Debian and Ubuntu, otherwise a download of Chrome
 * into {@link cacheFolder}.
 * @param {{ env?: NodeJS.ProcessEnv, log?: (line: string) => void }} [options]
 * @returns {Promise<string>}
 * @throws {BrowserMissingError} when every way failed; the hint says what to install.
 */
export async function ensureBrowser({ env = process.env, log = (line) => console.error(line) } = {}) {
  const found = findBrowser(env);
  if (found !== undefined) return found;
  /** @type {string[]} */
  const tried = [];
  const apt = mayUseApt();
  if (apt) {
    log('No browser found: installing chromium with apt-get …');
    const aptEnv = { ...env, DEBIAN_FRONTEND: 'noninteractive' };
    for (const args of [['update'], ['install', '-y', 'chromium']]) {
      // stdout belongs to whoever called us (it may be JSON); apt talks to stderr.
      const result = spawnSync('apt-get', args, { env: aptEnv, stdio: ['ignore', 2, 2], timeout: 900_000 });
      if (result.status !== 0) tried.push(`apt-get ${args.join(' ')} ended with ${result.status ?? result.signal}`);
    }
    const installed = findBrowser(env);
    if (installed !== undefined) return installed;
  }
  try {
    return await downloadChrome(env, apt, log);
  } catch (error) {
    tried.push(`download of Chrome: ${error instanceof Error ? error.message : String(error)}`);
  }
  throw new BrowserMissingError(
    `ensureBrowser: no browser was found and none could be installed (${tried.join('; ')})`,
    INSTALL_HINT,
  );
}

/** @param {NodeJS.ProcessEnv} env @param {boolean} installDeps @param {(line: string) => void} log */
async function downloadChrome(env, installDeps, log) {
  const { Browser, detectBrowserPlatform, install, resolveBuildId } = await import('@puppeteer/browsers');
  const platform = detectBrowserPlatform();
  if (platform === undefined) throw new Error(`no Chrome is offered for ${process.platform} ${process.arch}`);
  const cacheDir = path.join(cacheFolder(env), 'browsers');
  log(`No browser found: downloading Chrome to ${cacheDir} …`);
  const buildId = await resolveBuildId(Browser.CHROME, platform, 'stable');
  const { executablePath } = await install({ browser: Browser.CHROME, platform, buildId, cacheDir, installDeps });
  if (!answers(executablePath)) throw new Error(`${executablePath} does not start (libraries missing?)`);
  const { writeFileSync } = await import('node:fs');
  writeFileSync(path.join(cacheFolder(env), 'browser.txt'), `${executablePath}\n`);
  return executablePath;
}

/** Flags of every headless run: nothing calls home, nothing sleeps because no window is seen. */
const COMMON_FLAGS = [
  '--no-first-run',
  '--no-default-browser-check',
  '--disable-quic',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
  '--disable-dev-shm-usage',
  '--disable-background-timer-throttling',
  '--disable-backgrounding-occluded-windows',
  '--disable-renderer-backgrounding',
  '--enable-unsafe-webgpu',
];

/** `software`: SwiftShader. `vulkan`: a GPU on a Linux server. `native`: whatever the desktop's browser would take. */
export const GPU_MODES = /** @type {const} */ (['software', 'vulkan', 'native']);
/** @typedef {(typeof GPU_MODES)[number]} GpuMode */

/**
 * Flags under which Chrome offers WebGPU, headless or, for a display of its own, headed. The vulkan set falls back to
 * SwiftShader SILENTLY where no GPU works: compare the adapter's vendor with what was asked for.
 * @param {{ gpu: GpuMode, noSandbox?: boolean, headless?: boolean }} options
 * @returns {string[]}
 */
export function browserFlags({ gpu, noSandbox = process.platform === 'linux', headless = true }) {
  const flags = [...(headless ? ['--headless=new'] : []), ...COMMON_FLAGS, ...(noSandbox ? ['--no-sandbox'] : [])];
  if (gpu === 'software') {
    // Since Chrome 137 software WebGPU must be allowed explicitly; older versions ignore the flag.
    flags.push('--enable-unsafe-swiftshader', '--use-webgpu-adapter=swiftshader');
  }
  if (gpu === 'vulkan') {
    flags.push(
      '--use-angle=vulkan',
      '--enable-features=Vulkan',
      '--disable-vulkan-surface',
      '--ignore-gpu-blocklist',
      '--enable-dawn-features=vulkan_enable_f16_on_nvidia',
      '--disable-dawn-features=timestamp_quantization',
    );
  }
  return flags;
}

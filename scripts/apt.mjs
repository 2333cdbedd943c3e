// apt.mjs: packages of Debian and its kin, where we may install them. It decides nothing: who calls says what is missing.
import { spawnSync } from 'node:child_process';

/** True on Debian, Ubuntu and their kin, when we may install packages. */
export function mayUseApt() {
  return process.platform === 'linux' && process.getuid?.() === 0 && spawnSync('apt-get', ['--version']).status === 0;
}

/**
 * Installs a package; what went wrong, a line each.
 * @param {string} name
 * @param {NodeJS.ProcessEnv} [env]
 * @returns {string[]}
 */
export function aptInstall(name, env = process.env) {
  /** @type {string[]} */
  const failures = [];
  const aptEnv = { ...env, DEBIAN_FRONTEND: 'noninteractive' };
  for (const args of [['update'], ['install', '-y', name]]) {
    // stdout belongs to whoever called us (it may be JSON); apt talks to stderr.
    const result = spawnSync('apt-get', args, { env: aptEnv, stdio: ['ignore', 2, 2], timeout: 900_000 });
    if (result.status !== 0) failures.push(`apt-get ${args.join(' ')} ended with ${result.status ?? result.signal}`);
  }
  return failures;
}

// pagePolicy.mjs: the content-security policy of the page: as a header where we serve it, and as a <meta> in the built page
// for hosts that send no headers of their own. It is one text, so that the two cannot differ.

/**
 * No inline script and no eval but WebAssembly's (the tokenizer of a teacher in the browser). Teachers and models live
 * anywhere, so that requests may go to any https address and to this machine. Styles may be inline: figures and reports
 * carry theirs.
 * @param {{ development?: boolean }} [options] the development server reloads modules over a socket
 */
export function contentSecurityPolicy({ development = false } = {}) {
  const local = 'http://localhost:* http://127.0.0.1:*';
  const sockets = development ? ' ws://localhost:* ws://127.0.0.1:*' : '';
  return [
    "default-src 'self'",
    "script-src 'self' 'wasm-unsafe-eval'",
    "style-src 'self' 'unsafe-inline'",
    "img-src 'self' blob: data:",
    `connect-src 'self' https: ${local}${sockets} blob: data:`,
    "worker-src 'self'",
    "object-src 'none'",
    "base-uri 'none'",
    "form-action 'none'",
  ].join('; ');
}

/** @returns {import('vite').Plugin} puts the policy into the built page */
export function pagePolicy() {
  return {
    name: 'pupil-page-policy',
    apply: 'build',
    transformIndexHtml: () => [
      {
        tag: 'meta',
        attrs: { 'http-equiv': 'Content-Security-Policy', content: contentSecurityPolicy() },
        injectTo: 'head-prepend',
      },
    ],
  };
}

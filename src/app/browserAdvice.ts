// browserAdvice.ts: what to enable in this very browser so that it gives a page WebGPU, from what the browser says of itself. It
// asks nothing of the GPU; what it knows is of autumn 2026 and says which versions it speaks of.

export interface BrowserFacts {
  userAgent: string;
  /** `navigator.userAgentData.platform`, or `navigator.platform`. */
  platform: string;
  /** The page came from https or from this machine: elsewhere no browser offers WebGPU. */
  secure: boolean;
  /** Chromium's Brave and Opera say so; absent elsewhere. */
  brands?: readonly string[];
}

export interface Advice {
  /** As a person knows it: "Firefox 128 on Linux". */
  browser: string;
  /** In the order in which to try them; texts in back quotes are to be typed. */
  steps: string[];
}

type Family = 'chromium' | 'firefox' | 'safari' | 'other';

interface Recognised {
  family: Family;
  name: string;
  version: number;
}

/** From the user agent's text: all of Chromium's relatives say "Chrome", Chrome says "Safari", and so on. */
function recognise({ userAgent, brands = [] }: BrowserFacts): Recognised {
  const version = (pattern: RegExp): number => Number(pattern.exec(userAgent)?.[1] ?? NaN);
  if (/Firefox\/|FxiOS\//.test(userAgent)) {
    return /FxiOS/.test(userAgent)
      ? { family: 'safari', name: 'Firefox on iOS', version: version(/OS (\d+)/) }
      : { family: 'firefox', name: 'Firefox', version: version(/Firefox\/(\d+)/) };
  }
  if (/CriOS\/|EdgiOS\//.test(userAgent)) {
    return { family: 'safari', name: 'A browser on iOS', version: version(/OS (\d+)/) };
  }
  if (/Chrom(e|ium)\//.test(userAgent)) {
    const brave = brands.some((brand) => /brave/i.test(brand));
    const name = /Edg\//.test(userAgent) ? 'Edge' : brave ? 'Brave' : /OPR\//.test(userAgent) ? 'Opera' : 'Chrome';
    return { family: 'chromium', name, version: version(/Chrom(?:e|ium)\/(\d+)/) };
  }
  if (/Safari\//.test(userAgent)) return { family: 'safari', name: 'Safari', version: version(/Version\/(\d+)/) };
  return { family: 'other', name: 'This browser', version: NaN };
}

function systemOf({
  platform,
  userAgent,
}: BrowserFacts): 'Windows' | 'macOS' | 'iOS' | 'Android' | 'ChromeOS' | 'Linux' | '' {
  const text = `${platform} ${userAgent}`;
  if (/Android/i.test(text)) return 'Android';
  if (/iPhone|iPad/i.test(text)) return 'iOS';
  if (/CrOS|Chrome OS/i.test(text)) return 'ChromeOS';
  if (/Win/i.test(platform) || /Windows/i.test(userAgent)) return 'Windows';
  if (/Mac/i.test(text)) return 'macOS';
  return /Linux|X11/i.test(text) ? 'Linux' : '';
}

const inChromium = (name: string): string => (name === 'Edge' ? 'edge' : name === 'Brave' ? 'brave' : 'chrome');

function chromiumSteps(name: string, version: number, system: string): string[] {
  const scheme = inChromium(name);
  const steps: string[] = [];
  if (version < 113 || (system === 'Android' && version < 121)) {
    steps.push(
      `Update ${name}: WebGPU is there from version ${system === 'Android' ? 121 : 113} on, this is ${version}.`,
    );
  }
  steps.push(
    `Open \`${scheme}://settings/system\` and switch on “Use graphics acceleration when available”, then restart ${name}.`,
  );
  if (system === 'Linux') {
    steps.push(
      `Open \`${scheme}://flags/#enable-unsafe-webgpu\`, set it to Enabled, and \`${scheme}://flags/#enable-vulkan\` as well; restart ${name}. On Linux many graphics cards are still behind these flags.`,
      'Check that `vulkaninfo --summary` names your graphics card; if not, install its Vulkan driver (`mesa-vulkan-drivers`, or NVIDIA’s own).',
    );
  } else if (system === 'Android') {
    steps.push('WebGPU on Android needs Android 12 or newer and a Qualcomm, ARM or Imagination GPU.');
  }
  steps.push(`Open \`${scheme}://gpu\`: the line “WebGPU” should say “Hardware accelerated”, and else says why not.`);
  return steps;
}

function firefoxSteps(version: number, system: string): string[] {
  const steps: string[] = [];
  if (system === 'Windows' && version < 141)
    steps.push(`Update Firefox: WebGPU is there from 141 on, this is ${version}.`);
  if (system === 'macOS' && version < 145) {
    steps.push(`Update Firefox: on Macs with Apple’s own chips WebGPU is there from 145 on, this is ${version}.`);
  }
  steps.push(
    'Open `about:config`, set `dom.webgpu.enabled` to true, and reload this page.',
    'Open `about:support` and look under “Graphics” for what WebGPU says.',
  );
  if (system === 'Linux' || system === 'Android') {
    steps.push(
      'If it stays off: Firefox does not offer WebGPU on every system yet. Chrome or Edge do on more of them.',
    );
  }
  return steps;
}

function safariSteps(version: number, system: string): string[] {
  return version < 26
    ? [
        `Update ${system === 'iOS' ? 'iOS' : 'macOS'} to 26: WebGPU is on from there${Number.isFinite(version) ? `, this is ${version}` : ''}.`,
        ...(system === 'iOS'
          ? ['On iOS 18: Settings › Apps › Safari › Advanced › Feature Flags › WebGPU.']
          : ['On an older macOS use Chrome or Edge.']),
      ]
    : ['Check under Develop › Feature Flags (on iOS: Settings › Apps › Safari › Advanced) that WebGPU is on.'];
}

/** What to do here, in order. Never empty. */
export function browserAdvice(facts: BrowserFacts): Advice {
  const { family, name, version } = recognise(facts);
  const system = systemOf(facts);
  const browser = `${name}${Number.isFinite(version) ? ` ${version}` : ''}${system === '' || name.includes('iOS') ? '' : ` on ${system}`}`;
  const steps: string[] = [];
  if (!facts.secure) {
    steps.push(
      'Open the page from `https://…` or from `http://localhost…`: from other addresses browsers keep WebGPU switched off, whatever is enabled.',
    );
  }
  if (family === 'chromium') steps.push(...chromiumSteps(name, version, system));
  else if (family === 'firefox') steps.push(...firefoxSteps(version, system));
  else if (family === 'safari') steps.push(...safariSteps(version, system));
  else steps.push('Use a current Chrome, Edge, Safari 26, or Firefox on Windows or a Mac with Apple’s chip.');
  return { browser, steps };
}

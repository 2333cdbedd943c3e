// browserAdvice.test.ts: every browser is told what to do in itself: its own settings' addresses, the version that is needed.
import { describe, expect, it } from 'vitest';
import { browserAdvice } from '../../../src/app/browserAdvice';

const CHROME_LINUX =
  'Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/143.0.0.0 Safari/537.36';
const EDGE =
  'Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/110.0.0.0 Safari/537.36 Edg/110.0.0.0';
const FIREFOX_WINDOWS = 'Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:128.0) Gecko/20100101 Firefox/128.0';
const FIREFOX_LINUX = 'Mozilla/5.0 (X11; Linux x86_64; rv:146.0) Gecko/20100101 Firefox/146.0';
const SAFARI =
  'Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.5 Safari/605.1.15';
const IPHONE_CHROME =
  'Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) CriOS/137.0.0.0 Mobile/15E148 Safari/604.1';
const ANDROID =
  'Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0.0.0 Mobile Safari/537.36';

describe('browserAdvice', () => {
  it.each([
    [
      'Chrome 143 on Linux',
      CHROME_LINUX,
      'Linux',
      ['chrome://flags/#enable-unsafe-webgpu', 'vulkaninfo', 'chrome://gpu'],
      ['Update'],
    ],
    [
      'Edge 110 on Windows',
      EDGE,
      'Windows',
      ['Update Edge: WebGPU is there from version 113', 'edge://settings/system'],
      ['vulkaninfo'],
    ],
    ['Firefox 128 on Windows', FIREFOX_WINDOWS, 'Win32', ['Update Firefox', 'dom.webgpu.enabled'], ['chrome://']],
    [
      'Firefox 146 on Linux',
      FIREFOX_LINUX,
      'Linux x86_64',
      ['dom.webgpu.enabled', 'not offer WebGPU on every system'],
      ['Update'],
    ],
    ['Safari 18 on macOS', SAFARI, 'MacIntel', ['Update macOS to 26'], ['chrome://', 'about:config']],
    ['A browser on iOS 18', IPHONE_CHROME, 'iPhone', ['Update iOS to 26', 'Feature Flags'], ['chrome://']],
    ['Chrome 120 on Android', ANDROID, 'Android', ['from version 121', 'Android 12'], ['vulkaninfo']],
    ['This browser', 'Lynx/2.9', '', ['current Chrome'], []],
  ] as const)('%s', (browser, userAgent, platform, says, saysNot) => {
    const advice = browserAdvice({ userAgent, platform, secure: true });
    expect(advice.browser).toBe(browser);
    const text = advice.steps.join('\n');
    for (const words of says) expect(text).toContain(words);
    for (const words of saysNot) expect(text).not.toContain(words);
    expect(text).not.toContain('https://');
  });

  it('names an address that is not secure first: nothing else helps there', () => {
    expect(browserAdvice({ userAgent: CHROME_LINUX, platform: 'Linux', secure: false }).steps[0]).toContain(
      'http://localhost',
    );
  });

  it('tells Brave from Chrome by its brands', () => {
    const advice = browserAdvice({
      userAgent: CHROME_LINUX,
      platform: 'Linux',
      secure: true,
      brands: ['Brave', 'Chromium'],
    });
    expect(advice.browser).toBe('Brave 143 on Linux');
    expect(advice.steps.join()).toContain('brave://gpu');
  });
});

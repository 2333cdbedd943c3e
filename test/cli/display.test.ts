// display.test.ts: a browser in a window on a display without a screen, where Xvfb is installed; and what is said where not.
import { describe, expect, it } from 'vitest';
import { launchBrowser } from '../../src/cli/browser';
import { openDisplay } from '../../src/cli/display';
import { hasCommand, thisMachine } from '../../src/cli/machine';

const installed = hasCommand(thisMachine(), 'Xvfb');

describe('openDisplay', () => {
  it.runIf(installed)('gives each its own display, on which a browser opens a window', async () => {
    const displays = [await openDisplay(), await openDisplay()];
    try {
      expect(new Set(displays.map(({ name }) => name)).size).toBe(2);
      const browser = await launchBrowser({ gpu: 'software', display: displays[0]!.name });
      try {
        const page = browser.context.pages()[0]!;
        expect(await page.evaluate('navigator.userAgent')).not.toContain('Headless');
      } finally {
        await browser.close();
      }
    } finally {
      for (const display of displays) display.close();
    }
  });

  it.skipIf(installed)('without Xvfb is an error that says what to install', async () => {
    await expect(openDisplay()).rejects.toMatchObject({ code: 'browser', hint: 'sudo apt-get install xvfb' });
  });
});

// page.ts: the benchmark's page: offers the run to whoever drives the browser, as `window.pupilBench`.
import { runBench, SECTIONS, type BenchOptions } from './bench';
import { formatReport, type BenchReport } from './results';

const pupilBench = {
  sections: SECTIONS,
  run: (options: BenchOptions): Promise<BenchReport> =>
    runBench({ ...options, log: (line) => console.log(`bench: ${line}`) }),
  format: (report: BenchReport): string => formatReport(report),
};

declare global {
  interface Window {
    pupilBench?: typeof pupilBench;
  }
}

window.pupilBench = pupilBench;

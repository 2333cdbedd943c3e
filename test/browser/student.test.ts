// student.test.ts: the page's section Student over a session without a GPU that plans for real, and hubs on localhost: what a
// student would take is told before anything of it is downloaded, what is refused is said in place, settings that make it fit
// are applied, the experiment or the talk is given it, picked folders are found, and the token stays in memory.
import { flushSync } from 'svelte';
import { commands } from 'vitest/browser';
import { afterEach, describe, expect, it } from 'vitest';
import type { PlanStudentRequest, TalkStudent, TalkStudentRequest } from '../../src/session/protocol';
import { Session } from '../../src/session/session';
import { MemoryRunStore } from '../../src/storage/memory';
import type { HubWish } from '../support/hubCommands';
import { FakeSession, button, removePages, show } from './fakePage';
import { drop, field, Memory, set, until } from './teachingPage';

const TOKEN = 'hf_OnlyInMemory0123456789';
const CONFIG = {
  architectures: ['Qwen3ForCausalLM'],
  model_type: 'qwen3',
  hidden_size: 1024,
  intermediate_size: 3072,
  num_hidden_layers: 28,
  num_attention_heads: 16,
  num_key_value_heads: 8,
  head_dim: 128,
  vocab_size: 151936,
  max_position_embeddings: 40960,
  rms_norm_eps: 1e-6,
  rope_theta: 1000000,
  tie_word_embeddings: true,
  hidden_act: 'silu',
  bos_token_id: 151643,
  eos_token_id: 151645,
  torch_dtype: 'bfloat16',
};

const noGpu = (): never => {
  throw new Error('a plan asks for no GPU');
};

class PlanningSession extends FakeSession {
  private readonly real = new Session(noGpu, new MemoryRunStore());
  planned: PlanStudentRequest[] = [];
  talkedTo: TalkStudentRequest[] = [];
  setHub = this.real.setHub.bind(this.real);
  planStudent = (request: PlanStudentRequest): ReturnType<Session['planStudent']> => {
    this.planned.push(request);
    return this.real.planStudent(request);
  };
  talkStudent = (request: TalkStudentRequest): Promise<TalkStudent> => {
    this.talkedTo.push(request);
    return Promise.resolve({ source: 'x', parameters: 1, contextTokens: 192, chat: true });
  };
}

const running: string[] = [];
afterEach(async () => {
  removePages();
  for (const endpoint of running.splice(0)) await commands.stopHub(endpoint);
});
async function hub(wish: HubWish = {}): Promise<string> {
  const endpoint = await commands.startHub({ config: CONFIG, ...wish });
  running.push(endpoint);
  return endpoint;
}

interface Page extends ReturnType<typeof show> {
  panel: HTMLElement;
  session: PlanningSession;
  memory: Memory;
}
async function opened(session = new PlanningSession(), memory = new Memory()): Promise<Page> {
  const page = show(session, '?experiment=smoke', { memory });
  await page.playground.open();
  flushSync();
  page.root.querySelector<HTMLDetailsElement>('[data-section="student"]')!.open = true;
  await until(() => page.root.querySelector('.student') !== null);
  const panel = page.root.querySelector<HTMLElement>('.student')!;
  return { ...page, panel, session, memory };
}

function choose(panel: HTMLElement, words: string): void {
  field(panel, words).click();
  flushSync();
}
async function looked({ panel }: Page, until_: string): Promise<void> {
  button(panel, 'Look at it').click();
  await until(() => panel.innerText.includes(until_));
}
/** The model of a hub, looked at. */
async function hubbed(page: Page, endpoint: string, name = 'maker/model'): Promise<void> {
  choose(page.panel, 'Hugging Face Hub');
  set(field(page.panel, 'Endpoint'), endpoint);
  set(field(page.panel, 'Model'), name);
  await looked(page, 'Parameters');
}
const studentOf = ({ playground }: Page): unknown => playground.experiments.checked.experiment?.student;

describe('a student of a hub', () => {
  it('is planned from its config and the sizes of its files: nothing else is downloaded', async () => {
    const page = await opened();
    const endpoint = await hub();
    choose(page.panel, 'Hugging Face Hub');
    expect(button(page.panel, 'Look at it').disabled).toBe(true);
    set(field(page.panel, 'Endpoint'), endpoint);
    set(field(page.panel, 'Model'), `${endpoint}/maker/model/tree/main`);
    expect(field(page.panel, 'Model').value).toBe('maker/model');
    expect(field(page.panel, 'Revision').value).toBe('main');
    await looked(page, 'Parameters');
    const text = page.panel.innerText;
    for (const part of [
      'maker/model@main',
      'qwen3',
      '596 million',
      '683.6 KiB',
      'of its file',
      'Optimiser',
      'KV cache',
    ])
      expect(text).toContain(part);
    const sent = (await commands.hubLog(endpoint)).reduce((sum, one) => sum + one.sentBytes, 0);
    expect(sent).toBeLessThan(20_000);
    // Its settings are the experiment's.
    expect(page.session.planned.at(-1)!.settings).toMatchObject({ rank: 4, quantize: 'nf4-double' });
  });

  it('is refused in place, by name and with what to do, before anything is downloaded', async () => {
    const page = await opened();
    const endpoint = await hub({ config: { ...CONFIG, architectures: ['MambaForCausalLM'], model_type: 'mamba' } });
    choose(page.panel, 'Hugging Face Hub');
    set(field(page.panel, 'Endpoint'), endpoint);
    set(field(page.panel, 'Model'), 'maker/model');
    button(page.panel, 'Look at it').click();
    await until(() => page.panel.querySelector('[role="alert"]') !== null);
    expect(page.panel.querySelector('[role="alert"]')!.textContent).toMatch(/mamba/i);
    expect(page.panel.innerText).not.toContain('Use it in the experiment');
    const log = await commands.hubLog(endpoint);
    expect(log.reduce((sum, one) => sum + one.sentBytes, 0)).toBeLessThan(20_000);
    // One that is not there, and what is no name at all.
    set(field(page.panel, 'Model'), 'maker/other');
    button(page.panel, 'Look at it').click();
    await until(() => page.panel.innerText.includes('maker/other'));
    set(field(page.panel, 'Model'), 'not a name');
    expect(page.panel.querySelector('[role="alert"]')!.textContent).toContain('expected owner/name');
  });

  it('needs a token where it is gated; the token is nowhere but in memory, and forgotten when it is emptied', async () => {
    const page = await opened();
    const endpoint = await hub({ token: TOKEN, gated: true });
    choose(page.panel, 'Hugging Face Hub');
    set(field(page.panel, 'Endpoint'), endpoint);
    set(field(page.panel, 'Model'), 'maker/model');
    button(page.panel, 'Look at it').click();
    await until(() => page.panel.querySelector('[role="alert"]') !== null);
    const token = field(page.panel, 'Access token');
    expect(token.type).toBe('password');
    set(token, TOKEN);
    await looked(page, 'Parameters');
    button(page.panel, 'Use it in the experiment').click();
    flushSync();
    const everywhere = [
      JSON.stringify(page.playground.experiments.document),
      JSON.stringify([...page.memory.texts]),
      JSON.stringify({ ...localStorage, ...sessionStorage }),
      JSON.stringify(page.session.planned),
      location.href,
      document.cookie,
      page.root.innerHTML,
    ].join('\n');
    expect(everywhere).toContain('maker/model');
    expect(everywhere).not.toContain(TOKEN);
    set(token, '');
    await until(() => page.playground.student.shown === undefined);
    button(page.panel, 'Look at it').click();
    await until(() => page.panel.querySelector('[role="alert"]') !== null);
  });

  it('that is too large: each remedy is applied and planned anew, until it fits', async () => {
    const page = await opened();
    await hubbed(page, await hub());
    expect(page.panel.querySelector('.verdict')!.textContent).toContain('It takes');
    const { experiments } = page.playground;
    for (const phase of ['instruct', 'selfRefine']) experiments.edit(['phases', phase, 'microBatchTokens'], 64 * 192);
    experiments.edit(['limits', 'maxGpuBytes'], Math.round(1.4 * 2 ** 30));
    await until(() => page.panel.innerText.includes('It does not fit'));
    const names = [...page.panel.querySelectorAll('li strong')].map((one) => one.textContent);
    expect(names[0]).toMatch(/^Batch 64 → \d+$/);
    expect(page.panel.innerText).not.toContain('activations keep →'); // a run chooses that by itself
    for (let i = 0; i < 8 && !page.panel.innerText.includes('It fits'); i++) {
      const before = page.session.planned.length;
      page.panel.querySelector<HTMLButtonElement>('li button')!.click();
      await until(() => page.session.planned.length > before && !page.playground.student.planning);
    }
    expect(page.panel.querySelector('.verdict')!.textContent).toContain('It fits');
    // What made it fit is the experiment's now, setting by setting, and can be taken back.
    expect(experiments.differences.map(({ path }) => path.at(-1))).toContain('microBatchTokens');
    const { shown } = page.playground.student;
    expect(shown!.plan.peak.totalBytes).toBeLessThanOrEqual(1.4 * 2 ** 30);
  });

  it('is put into the experiment with its settings, and can be taken out again', async () => {
    const page = await opened();
    const before = JSON.stringify(page.playground.experiments.document);
    const endpoint = await hub();
    await hubbed(page, endpoint, 'hub:maker/model@main');
    set(field(page.root, 'Quantisation of the base'), 'nf4');
    set(field(page.root, 'Rank r'), '8');
    // The plan follows the settings.
    await until(() => page.panel.innerText.includes('rank 8') && !page.playground.student.planning);
    expect(page.session.planned.at(-1)!.settings).toMatchObject({ rank: 8, quantize: 'nf4' });
    button(page.panel, 'Use it in the experiment').click();
    flushSync();
    expect(studentOf(page)).toMatchObject({
      source: { kind: 'hub', repo: 'maker/model', revision: 'main', endpoint },
      quantize: 'nf4',
      tokenizer: { kind: 'student' },
    });
    const { experiment } = page.playground.experiments.checked;
    expect(experiment!.adapter.rank).toBe(8);
    expect(page.panel.querySelector('[role="status"]')!.textContent).toContain('now has the student maker/model@main');
    const panel = page.root.querySelector<HTMLElement>('[aria-labelledby="experiment-title"]')!;
    expect(panel.innerText).toContain('maker/model@main; nf4, LoRA rank 8');
    button(panel, 'Undo changes').click();
    flushSync();
    expect(JSON.stringify(page.playground.experiments.document)).toBe(before);
  });

  it('is handed to the talk', async () => {
    const page = await opened();
    await hubbed(page, await hub());
    button(page.panel, 'Talk to it').click();
    await until(() => page.session.talkedTo.length > 0);
    expect(document.activeElement?.id).toBe('talk-text');
    expect(page.session.talkedTo[0]!.student).toMatchObject({
      source: { kind: 'hub', repo: 'maker/model' },
      quantize: 'nf4-double',
    });
    const select = page.root.querySelector<HTMLSelectElement>('.talk select')!;
    expect(select.selectedOptions[0]!.textContent).toBe('maker/model');
  });
});

describe('a student of a folder', () => {
  const files: [string, string][] = [
    ['config.json', JSON.stringify(CONFIG)],
    ['model.safetensors', 'x'.repeat(1000)],
    ['tokenizer.json', '{}'],
  ];

  it('is dropped, planned, used, found by the run, and asked for again after a reload', async () => {
    const page = await opened();
    choose(page.panel, 'a folder on this computer');
    const zone = page.panel.querySelector('.pick')!;
    drop(zone, ['readme.txt', 'nothing']);
    await until(() => page.panel.innerText.includes('expected a folder with config.json, got 1 files without one'));
    drop(zone, ...files);
    await until(() => page.panel.innerText.includes('model: 3 files'));
    await looked(page, 'Parameters');
    button(page.panel, 'Use it in the experiment').click();
    flushSync();
    expect(studentOf(page)).toMatchObject({ source: { kind: 'directory', path: 'picked:model' } });
    expect(page.panel.innerText).toContain('After a reload of the page its folder must be picked again.');
    void page.playground.startRun();
    await until(() => page.session.request !== undefined);
    const root = page.session.request!.files;
    expect(root).toMatchObject({ kind: 'mounted', at: 'picked:model', rest: { kind: 'http' } });
    expect(Object.keys((root as unknown as { root: { files: object } }).root.files)).toContain('model.safetensors');

    removePages();
    const later = await opened(new PlanningSession(), page.memory);
    expect(later.playground.canRun).toBe(false);
    expect(later.text()).toContain('pick it again under Student');
    choose(later.panel, 'a folder on this computer');
    drop(later.panel.querySelector('.pick')!, ...files);
    await until(() => later.playground.canRun);
  });

  it('without weights can be planned and not used', async () => {
    const page = await opened();
    choose(page.panel, 'a folder on this computer');
    drop(page.panel.querySelector('.pick')!, files[0]!);
    await until(() => page.panel.innerText.includes('model: 1 file'));
    await looked(page, 'can be planned, but not loaded');
    expect(page.panel.innerText).not.toContain('Use it in the experiment');
  });
});

describe('the section', () => {
  it('is one of labelled fields, and Enter looks', async () => {
    const page = await opened();
    const endpoint = await hub();
    choose(page.panel, 'Hugging Face Hub');
    for (const control of page.panel.querySelectorAll('input, select')) {
      expect((control as HTMLInputElement).labels!.length, control.outerHTML).toBe(1);
    }
    set(field(page.panel, 'Endpoint'), endpoint);
    set(field(page.panel, 'Model'), 'maker/model');
    page.panel.querySelector('form')!.requestSubmit();
    await until(() => page.panel.innerText.includes('Parameters'));
    // Another model: what was said was of the one before.
    set(field(page.panel, 'Model'), 'maker/other');
    expect(page.panel.innerText).not.toContain('Parameters');
  });

  it('looks at an address, and at the experiment’s own', async () => {
    const page = await opened();
    const endpoint = await hub();
    choose(page.panel, 'an address');
    set(field(page.panel, 'Address of its folder'), `${endpoint}/maker/model/resolve/main/`);
    await looked(page, 'Parameters');
    choose(page.panel, "the experiment's own");
    await looked(page, 'lesson (comes with Pupil)');
    expect(page.session.planned.at(-1)).toMatchObject({ student: 'students/lesson' });
  });
});

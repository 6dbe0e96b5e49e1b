// A person at Temporal's own web UI: a real browser that fills its forms, opens its dialogs and reads its pages. With
// SAEFLOW_SCREENSHOTS set to a folder it keeps the pictures of docs/operations.md as it goes (docs/screenshots.ts).
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Browser, Locator, Page } from 'playwright-core';
import { launchBrowser } from '../dashboard/browser.ts';

const size = { width: 1280, height: 900 };
/** What the page's own bars take at the left and the top. */
const frame = { left: 64, top: 49 };
/** For a machine that is busy with other tests. */
const patienceMs = 180_000;

export interface NewWorkflow {
  workflowId: string;
  type: string;
  /** As typed into the form's field. */
  input: string;
}

export class TemporalUi {
  private constructor(
    private readonly url: string,
    private readonly browser: Browser,
    readonly page: Page,
  ) {}

  static async open(uiUrl: string): Promise<TemporalUi> {
    const browser = await launchBrowser();
    const page = await browser.newPage({ viewport: size });
    page.setDefaultTimeout(patienceMs);
    return new TemporalUi(`${uiUrl}/namespaces/default`, browser, page);
  }

  async close(): Promise<void> {
    await this.browser.close();
  }

  /** Fills and sends the form "Start a Workflow"; returns what the page then says. */
  async start({ workflowId, type, input }: NewWorkflow, picture?: string): Promise<string> {
    const { page } = this;
    await page.goto(`${this.url}/workflows/start-workflow`);
    await page.getByLabel('Workflow ID').fill(workflowId);
    await page.getByLabel('Task Queue').fill('saeflow');
    await page.getByLabel('Workflow Type').fill(type);
    await page.locator('.cm-content').fill(input);
    // It comes a moment later, and moves what is below it.
    await page.getByText(/Task Queue is/).waitFor();
    if (picture !== undefined) await this.keep(picture, { bottomOf: page.getByRole('button', { name: 'Start Workflow' }), width: 920 });
    // The form takes over what was typed a moment later: a click before that does nothing.
    const sent = page.waitForResponse((response) => response.request().method() === 'POST' && response.url().includes('/workflows/'));
    const submit = page.getByRole('button', { name: 'Start Workflow' });
    for (let clicks = 0; clicks < 5; clicks++) {
      await sleep(500);
      await submit.click();
      if (await Promise.race([sent.then(() => true), sleep(3_000, false)])) break;
    }
    await sent;
    const outcome = page.getByText(/Workflow started successfully|Workflow execution is already running/).first();
    return outcome.innerText();
  }

  /** Opens a tab of a workflow's page: of its latest run. */
  async openWorkflow(workflowId: string, tab: 'History' | 'Workers' | 'User Metadata' | 'Pending Activities' = 'History'): Promise<void> {
    await this.page.goto(`${this.url}/workflows/${encodeURIComponent(workflowId)}`);
    await this.page.getByRole('tab', { name: tab }).click();
  }

  /** Opens the page of a Worker Deployment: its builds. */
  async openDeployment(name: string): Promise<void> {
    await this.page.goto(`${this.url}/worker-deployments/${name}`);
  }

  /** The list of workflows that a query finds; returns their ids. */
  async list(query: string): Promise<string[]> {
    await this.page.goto(`${this.url}/workflows?query=${encodeURIComponent(query)}`);
    await this.page.waitForLoadState('networkidle');
    return this.page.locator('tbody a[href*="/workflows/"]').allInnerTexts();
  }

  /** Running, Completed, Failed, …: as the head of the open workflow's page has it. */
  async status(): Promise<string> {
    const head = await this.page.locator('main').innerText();
    return /\b(Running|Completed|Failed|Canceled|Terminated)\b/.exec(head)?.[1] ?? '';
  }

  /** The rendered Markdown of the current details; a workflow with a summary has one more before it. */
  get detailsBox(): Locator {
    return this.page.locator('iframe').last();
  }

  /** The open workflow's current details as text, asked for anew, as by the key R. */
  async details(): Promise<string> {
    await this.page.keyboard.press('r');
    await sleep(500);
    return (await this.detailsBox.contentFrame().locator('main').innerText()).replace(/\s+/g, ' ');
  }

  /** Looks at the details until they match. */
  async untilDetails(pattern: RegExp): Promise<string> {
    return this.until(() => this.details(), (text) => pattern.test(text), String(pattern));
  }

  /** Looks at the head of the page until the workflow has ended. */
  async untilStatus(wanted: string): Promise<void> {
    await this.until(() => this.status(), (text) => text === wanted, wanted);
  }

  /** More Actions → Send a Signal. */
  async signal(name: string, picture?: string): Promise<void> {
    const dialog = await this.act('Send a Signal');
    await this.choose(dialog, name, picture);
    await dialog.getByRole('button', { name: 'Submit' }).click();
    await dialog.waitFor({ state: 'hidden' });
  }

  /** More Actions → Send an Update that is accepted: the dialog then closes itself. */
  async update(name: string, input: string, picture?: string): Promise<void> {
    const dialog = await this.act('Send an Update');
    await this.choose(dialog, name);
    await dialog.locator('.cm-content').fill(input);
    if (picture !== undefined) await this.keep(picture);
    await dialog.getByRole('button', { name: 'Submit' }).click();
    await dialog.waitFor({ state: 'hidden' });
  }

  /** Request Cancellation. */
  async cancel(): Promise<void> {
    await this.page.getByRole('button', { name: 'Request Cancellation' }).click();
    await this.page.getByRole('dialog', { name: 'Cancel Workflow' }).getByRole('button', { name: 'Confirm' }).click();
  }

  /** Keeps a picture of the page without its bars, down to the lower edge of `bottomOf`, where pictures are wanted. */
  async keep(name: string, { bottomOf, width = size.width - frame.left }: { bottomOf?: Locator; width?: number } = {}): Promise<void> {
    const folder = process.env['SAEFLOW_SCREENSHOTS'];
    if (!folder) return;
    mkdirSync(folder, { recursive: true });
    await sleep(1_000);
    const box = await bottomOf?.boundingBox();
    const bottom = Math.min(size.height, box ? box.y + box.height + 24 : size.height);
    await this.page.screenshot({ path: join(folder, `${name}.png`), clip: { x: frame.left, y: frame.top, width, height: bottom - frame.top } });
  }

  private async act(item: string): Promise<Locator> {
    await this.page.getByRole('button', { name: 'More Actions' }).click();
    await this.page.getByRole('menuitem', { name: item }).click();
    const dialog = this.page.getByRole('dialog', { name: item });
    await dialog.waitFor();
    return dialog;
  }

  private async choose(dialog: Locator, name: string, picture?: string): Promise<void> {
    await dialog.getByRole('button', { name: /^Select a/ }).click();
    const option = dialog.getByRole('option', { name }).first();
    await option.waitFor();
    if (picture !== undefined) await this.keep(picture);
    await option.click();
  }

  private async until<T>(look: () => Promise<T>, good: (value: T) => boolean, what: string): Promise<T> {
    let last: T | undefined;
    for (const end = performance.now() + patienceMs; performance.now() < end; await sleep(300)) {
      last = await look();
      if (good(last)) return last;
    }
    throw new Error(`Temporal's UI never showed ${what}; last: ${String(last)}`);
  }
}

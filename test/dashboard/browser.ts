// A real headless Chromium on a fixture site, or on that of a run. Every page it opens is watched: console errors and requests to anywhere
// but the site's own server are collected, for the tests to find none.
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { chromium, type Browser, type BrowserContextOptions, type Page } from 'playwright-core';
import { serveSite } from '../../dashboard/serve.ts';
import type { SiteSource } from '../../dashboard/siteSource.ts';
import { storeSource } from '../../dashboard/storeSource.ts';
import { setUpBrowser } from '../../setup/browser.ts';
import { writeFixtureSite, type FixtureSite } from './fixtureSite.ts';
import { makeTrainedSite, type TrainedSite } from './trainedSite.ts';

export interface ServedSite {
  url: string;
  /** Console errors, exceptions, refused and foreign requests of all pages so far. */
  complaints: string[];
  /** Opens a page at a hash and waits until its route is rendered; at `about:blank` an empty one, watched likewise. */
  open(hash: string, options?: BrowserContextOptions): Promise<Page>;
  close(): Promise<void>;
}

export interface OpenSite extends ServedSite {
  folder: string;
  fixture: FixtureSite;
}

export interface OpenTrainedSite extends ServedSite {
  trained: TrainedSite;
}

const launchArguments = ['--no-sandbox', '--disable-gpu', '--headless=new', '--disable-background-networking', '--no-first-run', '--disable-component-update', '--disable-sync'];

/** A headless browser: this machine's, or Debian's chromium, installed where there is none. */
export async function launchBrowser(): Promise<Browser> {
  return chromium.launch({ executablePath: await setUpBrowser(), args: launchArguments });
}

/** Writes a fixture site, serves it and starts a browser. */
export async function openFixtureSite(features?: number): Promise<OpenSite> {
  const folder = await mkdtemp(join(tmpdir(), 'saeflow-dashboard-'));
  const fixture = await writeFixtureSite(folder, features);
  const site = await openSite(folder);
  const close = async (): Promise<void> => {
    await site.close();
    await rm(folder, { recursive: true });
  };
  return { ...site, folder, fixture, close };
}

/** Makes a run, serves its site out of the store and starts a browser. */
export async function openTrainedSite(): Promise<OpenTrainedSite> {
  const trained = await makeTrainedSite();
  const site = await openSite(storeSource(trained.inputs.store, trained.site));
  const close = async (): Promise<void> => {
    await site.close();
    await trained.inputs.remove();
  };
  return { ...site, trained, close };
}

async function openSite(source: string | SiteSource): Promise<ServedSite> {
  const server = await serveSite(source);
  const browser = await launchBrowser();
  const complaints: string[] = [];
  const open = async (hash: string, options: BrowserContextOptions = {}): Promise<Page> => {
    const page = await browser.newPage({ viewport: { width: 1280, height: 800 }, ...options });
    page.on('console', (message) => {
      if (message.type() === 'error' || message.type() === 'warning') complaints.push(`console: ${message.text()}`);
    });
    page.on('pageerror', (error) => complaints.push(`exception: ${error.message}`));
    page.on('request', (request) => {
      if (!request.url().startsWith(server.url) && !request.url().startsWith('data:')) complaints.push(`request: ${request.url()}`);
    });
    page.on('response', (response) => {
      if (response.status() >= 400) complaints.push(`${response.status()}: ${response.url()}`);
    });
    if (hash === 'about:blank') return page;
    await page.goto(server.url + hash);
    await ready(page);
    return page;
  };
  const close = async (): Promise<void> => {
    await browser.close();
    await server.close();
  };
  return { url: server.url, complaints, open, close };
}

/** Waits until the current route is rendered. */
export async function ready(page: Page): Promise<void> {
  await page.waitForSelector('body[data-ready="true"]');
}

/** Changes the route as a link would, or reloads it if it is already there, and waits for it. */
export async function go(page: Page, hash: string): Promise<void> {
  const changed = await page.evaluate((next) => {
    if (location.hash === next) return false;
    delete document.body.dataset.ready;
    location.hash = next;
    return true;
  }, hash);
  if (!changed) await page.reload();
  await ready(page);
}

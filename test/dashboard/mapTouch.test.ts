// The map under fingers, as a touch screen sends them: two zoom it around what lies between them, one moves it when it is
// zoomed and scrolls the page when it is whole, a tap opens a feature. Where a point must be afterwards is worked out from
// the data; what is there, the page itself says.
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { CDPSession, Page } from 'playwright-core';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { featureMap } from '../../schemas/dashboard.ts';
import { openFixtureSite, ready, type OpenSite } from './browser.ts';

interface Place {
  x: number;
  y: number;
}

/** The map as it is shown first: a square around all points, in 94 % of the canvas. */
const shownShare = 0.94;
let site: OpenSite;
beforeAll(async () => {
  site = await openFixtureSite();
});
afterAll(() => site.close());

interface OpenMap {
  page: Page;
  box: Place & { width: number; height: number };
  /** Where each mapped feature is. */
  places: Map<number, Place>;
  touch(type: 'touchStart' | 'touchMove' | 'touchEnd', ...fingers: Place[]): Promise<void>;
}

async function openMap(): Promise<OpenMap> {
  const page = await site.open('#/map', { viewport: { width: 400, height: 800 }, hasTouch: true });
  const box = (await page.locator('canvas.map').boundingBox())!;
  const { features, x, y } = featureMap.parse(JSON.parse(await readFile(join(site.folder, 'data/map.json'), 'utf8')));
  const [left, right, top, bottom] = [Math.min(...x), Math.max(...x), Math.min(...y), Math.max(...y)];
  // the canvas has a border of one pixel
  const scale = ((Math.min(box.width, box.height) - 2) * shownShare) / Math.max(right - left, bottom - top);
  const middle = middleOf(box);
  const places = new Map(features.map((feature, point) => [feature, { x: middle.x + (x[point]! - (left + right) / 2) * scale, y: middle.y + (y[point]! - (top + bottom) / 2) * scale }]));
  const session: CDPSession = await page.context().newCDPSession(page);
  const touch: OpenMap['touch'] = async (type, ...fingers) => void (await session.send('Input.dispatchTouchEvent', { type, touchPoints: fingers.map((finger, id) => ({ ...finger, id })) }));
  return { page, box, places, touch };
}

const middleOf = ({ x, y, width, height }: OpenMap['box']): Place => ({ x: x + width / 2, y: y + height / 2 });
const plus = (a: Place, b: Place, factor = 1): Place => ({ x: a.x + b.x * factor, y: a.y + b.y * factor });
const minus = (a: Place, b: Place): Place => plus(a, b, -1);

const isInside = (box: OpenMap['box'], { x, y }: Place): boolean => x > box.x + 15 && y > box.y + 15 && x < box.x + box.width - 15 && y < box.y + box.height - 15;
const isAlone = (places: Map<number, Place>, feature: number, at: Place): boolean => [...places].every(([other, { x, y }]) => other === feature || Math.hypot(x - at.x, y - at.y) > 8);

/** Expects that every feature that `move` leaves well inside the canvas and by itself is found where it says. */
async function expectMoved({ page, box, places }: OpenMap, move: (place: Place) => Place): Promise<void> {
  const moved = new Map([...places].map(([feature, place]) => [feature, move(place)]));
  const sure = [...moved].filter(([feature, place]) => isInside(box, place) && isAlone(moved, feature, place));
  expect(sure.length).toBeGreaterThan(4);
  for (const [feature, { x, y }] of sure) {
    await page.mouse.move(x, y);
    expect(await page.locator('#map-point b').innerText()).toBe(String(feature));
  }
}

test('two fingers zoom around what lies between them, and carry it along', async () => {
  const map = await openMap();
  await expectMoved(map, (place) => place);
  const held = plus(middleOf(map.box), { x: -60, y: 20 });
  const away = { x: 30, y: 20 };
  const carried = { x: 25, y: -15 };
  const fingers = (spread: number, by: number): [Place, Place] => [minus(plus(held, carried, by), { x: away.x * spread, y: away.y * spread }), plus(plus(held, carried, by), away, spread)];
  await map.touch('touchStart', fingers(1, 0)[0]);
  await map.touch('touchStart', ...fingers(1, 0));
  for (const part of [0.25, 0.5, 0.75, 1]) await map.touch('touchMove', ...fingers(1 + part, part));
  await map.touch('touchEnd');
  expect(await map.page.evaluate(() => [document.body.dataset['route'], visualViewport?.scale])).toEqual(['map', 1]);
  await expectMoved(map, (place) => plus(plus(held, carried), minus(place, held), 2));
  await map.page.context().close();
});

test('pinched together, the map is never smaller than whole', async () => {
  const map = await openMap();
  const middle = middleOf(map.box);
  await map.touch('touchStart', plus(middle, { x: -80, y: 0 }), plus(middle, { x: 80, y: 0 }));
  for (const apart of [60, 40, 20]) await map.touch('touchMove', plus(middle, { x: -apart, y: 0 }), plus(middle, { x: apart, y: 0 }));
  await map.touch('touchEnd');
  await expectMoved(map, (place) => place);
  await map.page.context().close();
});

test('one finger moves it when it is zoomed; a tap opens the feature', async () => {
  const map = await openMap();
  const { page, places, touch } = map;
  const from = middleOf(map.box);
  const by = { x: 40, y: 25 };
  await page.getByRole('application').focus();
  await page.keyboard.press('+');
  await page.locator('canvas.map.zoomed').waitFor();
  const zoomed = (place: Place) => plus(from, minus(place, from), 1.35);
  await touch('touchStart', from);
  for (const part of [0.2, 0.6, 1]) await touch('touchMove', plus(from, by, part));
  await touch('touchEnd');
  await expectMoved(map, (place) => plus(zoomed(place), by));
  const moved = new Map([...places].map(([feature, place]) => [feature, plus(zoomed(place), by)]));
  const [feature, place] = [...moved].find(([candidate, at]) => isInside(map.box, at) && at.x < from.x && isAlone(moved, candidate, at))!;
  await page.evaluate(() => delete document.body.dataset['ready']);
  await touch('touchStart', place);
  await touch('touchEnd');
  await ready(page);
  expect(await page.locator('h1').innerText()).toContain(`Feature ${feature}`);
  await page.context().close();
});

test('one finger scrolls the page over a map that is whole', async () => {
  const map = await openMap();
  await map.page.setViewportSize({ width: 400, height: 420 });
  const canvas = map.page.locator('canvas.map');
  await canvas.evaluate((element) => element.scrollIntoView());
  const before = await map.page.evaluate(() => scrollY);
  const box = (await canvas.boundingBox())!;
  const from = { x: box.x + box.width / 2, y: box.y + 200 };
  await map.touch('touchStart', from);
  for (const up of [20, 60, 120, 160]) await map.touch('touchMove', plus(from, { x: 0, y: -up }));
  await map.touch('touchEnd');
  await expect.poll(() => map.page.evaluate(() => scrollY)).not.toBe(before);
  await map.page.context().close();
});

test('plus, minus and 0 on the keyboard zoom around the middle, a step there and back', async () => {
  const map = await openMap();
  const middle = middleOf(map.box);
  await map.page.getByRole('application').focus();
  await map.page.keyboard.press('+');
  await map.page.keyboard.press('+');
  await map.page.keyboard.press('-');
  await expectMoved(map, (place) => plus(middle, minus(place, middle), 1.35));
  await map.page.keyboard.press('0');
  await expectMoved(map, (place) => place);
  await map.page.context().close();
});

test('no console error', () => {
  expect(site.complaints).toEqual([]);
});

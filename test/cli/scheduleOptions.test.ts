// What a person types about times, and how times are shown: by hand-worked cases, daylight saving included.
import { InvalidArgumentError } from 'commander';
import { describe, expect, it } from 'vitest';
import { by, calendar, durationMs, eachBy, instant, interval, overlapName, overlapPolicy, scheduleName, timeZone } from '../../cli/scheduleOptions.ts';
import { describeInstant, describeTimes } from '../../cli/scheduleText.ts';

const minuteMs = 60_000;
const said = (parse: (text: string) => unknown, text: string): string => {
  try {
    return `took ${JSON.stringify(parse(text))}`;
  } catch (error) {
    expect(error).toBeInstanceOf(InvalidArgumentError);
    return (error as Error).message;
  }
};

describe('durations and intervals', () => {
  it.each([
    ['30s', 30_000],
    ['10m', 10 * minuteMs],
    ['1d12h', 36 * 60 * minuteMs],
    ['2w', 14 * 24 * 60 * minuteMs],
  ])('%s is %d ms', (text, ms) => expect(by(durationMs)(text)).toBe(ms));

  it.each(['', '10', '10 m', '1.5h', '-5m', 'm', '0s', '1y'])('"%s" is refused with examples', (text) => expect(said(by(durationMs), text)).toMatch(/such as 30s, 10m|at least 1s/));

  it('an interval may have an offset, shorter than itself', () => {
    expect(by(interval)('6h')).toEqual({ every: 360 * minuteMs });
    expect(by(interval)('24h/3h')).toEqual({ every: 1_440 * minuteMs, offset: 180 * minuteMs });
    for (const text of ['24h/24h', '6h/x', '6h/1h/1h', 'daily']) expect(said(by(interval), text)).toContain('24h/3h');
  });

  it('options that may be repeated collect', () => expect(eachBy(interval)('1h', eachBy(interval)('2h'))).toEqual([{ every: 120 * minuteMs }, { every: 60 * minuteMs }]));
});

describe('calendars', () => {
  it('take values, ranges with steps, lists and names in any case; ranges are filled in', () => {
    expect(by(calendar)('{"dayOfWeek": ["sunday", {"start": "TUESDAY", "end": "THURSDAY"}], "hour": {"start": 8, "end": 18, "step": 2}, "minute": [0, 30], "month": "*"}')).toEqual({
      dayOfWeek: [
        { start: 'SUNDAY', end: 'SUNDAY', step: 1 },
        { start: 'TUESDAY', end: 'THURSDAY', step: 1 },
      ],
      hour: { start: 8, end: 18, step: 2 },
      minute: [
        { start: 0, end: 0, step: 1 },
        { start: 30, end: 30, step: 1 },
      ],
      month: '*',
    });
  });

  it.each(['sundays', '{}', '{"hour": 24}', '{"dayOfWeek": "SOMEDAY"}', '{"weekday": "SUNDAY"}', '[]'])('%s is refused with an example', (text) => expect(said(by(calendar), text)).toContain('{"dayOfWeek": "SUNDAY", "hour": 3}'));

  it('name the wrong field', () => expect(said(by(calendar), '{"hour": 24, "weekday": 1}')).toMatch(/hour: .*weekday/));
});

describe('zones, instants, names and policies', () => {
  it('know the zones of the IANA database', () => {
    expect(by(timeZone)('Europe/Berlin')).toBe('Europe/Berlin');
    for (const text of ['Mars/Olympus', '+01:00', '']) expect(said(by(timeZone), text)).toContain('Europe/Berlin');
  });

  it('read an instant as UTC unless it names a zone', () => {
    expect(by(instant)('2026-11-20').toISOString()).toBe('2026-11-20T00:00:00.000Z');
    expect(by(instant)('2026-11-20T03:00').toISOString()).toBe('2026-11-20T03:00:00.000Z');
    expect(by(instant)('2026-11-20T03:00:00+01:00').toISOString()).toBe('2026-11-20T02:00:00.000Z');
    for (const text of ['yesterday', '2026-13-01', '20.11.2026']) expect(said(by(instant), text)).toContain('2026-11-20');
  });

  it('refuse other names and policies, naming those there are', () => {
    expect(by(scheduleName)('nightly-2')).toBe('nightly-2');
    for (const text of ['Nightly', 'a b', '-a', '']) expect(said(by(scheduleName), text)).toContain('lower-case');
    expect(by(overlapPolicy)('buffer-one')).toBe('BUFFER_ONE');
    expect(said(by(overlapPolicy), 'wait')).toContain('skip, buffer-one');
    expect(overlapName('ALLOW_ALL')).toBe('allow-all');
  });
});

describe('times as shown', () => {
  const every = (start: number, end: number) => [{ start, end, step: 1 }];
  const midnight = { second: every(0, 0), minute: every(0, 0), hour: every(3, 3), dayOfMonth: every(1, 31), month: [{ start: 'JANUARY' as const, end: 'DECEMBER' as const, step: 1 }], year: [], dayOfWeek: [{ start: 'SUNDAY' as const, end: 'SATURDAY' as const, step: 1 }] };

  it('are in the schedule’s own zone, on either side of daylight saving', () => {
    expect(describeInstant(new Date('2026-03-28T02:00:00Z'), 'Europe/Berlin')).toMatch(/^Sat 2026-03-28 03:00 (CET|GMT\+1)$/);
    expect(describeInstant(new Date('2026-03-29T01:00:00Z'), 'Europe/Berlin')).toMatch(/^Sun 2026-03-29 03:00 (CEST|GMT\+2)$/);
    expect(describeInstant(new Date('2026-03-29T00:00:05Z'), undefined)).toBe('Sun 2026-03-29 00:00:05 UTC');
    expect(describeInstant(new Date('2026-03-29T00:00:00Z'), 'Mars/Olympus')).toBe('Sun 2026-03-29 00:00 UTC');
  });

  it('read as a cron expression or an interval', () => {
    expect(describeTimes({ calendars: [midnight] })).toBe('0 3 * * * (UTC)');
    expect(describeTimes({ calendars: [{ ...midnight, minute: [{ start: 0, end: 59, step: 15 }], hour: [...every(8, 10), ...every(20, 20)], dayOfWeek: [{ start: 'MONDAY', end: 'FRIDAY', step: 1 }], year: every(2027, 2027) }], timezone: 'Asia/Tokyo' })).toBe('*/15 8-10,20 * * MON-FRI 2027 (Asia/Tokyo)');
    expect(describeTimes({ intervals: [{ every: 24 * 60 * minuteMs, offset: 180 * minuteMs }], jitter: minuteMs })).toBe('every 24 h 00 min, 3 h 00 min past, up to 1 min 00 s later');
  });
});

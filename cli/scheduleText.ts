// Schedules as a person reads them: when they are due, in their own time zone, and what they do.
import type { CalendarSpecDescription, ScheduleSpecDescription } from '@temporalio/client';
import { formatDuration } from '../schemas/format.ts';

type Ranges = CalendarSpecDescription['minute'] | CalendarSpecDescription['month'] | CalendarSpecDescription['dayOfWeek'];

/** `0 3 * * MON (Europe/Berlin)`, `every 6 h`: all that a schedule is due at. Calendars are shown as cron expressions. */
export function describeTimes({ calendars = [], intervals = [], skip = [], timezone, jitter }: ScheduleSpecDescription): string {
  const every = intervals.map(({ every, offset }) => `every ${formatDuration(every / 1_000)}${offset === 0 || offset === undefined ? '' : `, ${formatDuration(offset / 1_000)} past`}`);
  const zone = calendars.length === 0 ? '' : ` (${zoneOf(timezone)})`;
  const times = [...calendars.map(describeCalendar), ...every].join(' and ');
  const without = skip.length === 0 ? '' : `, but for ${skip.map(describeCalendar).join(' and ')}`;
  return `${times}${zone}${without}${jitter === undefined || jitter === 0 ? '' : `, up to ${formatDuration(jitter / 1_000)} later`}`;
}

/** `Mon 2026-11-30 03:00 CET`; seconds only where there are some. */
export function describeInstant(instant: Date, timezone: string | undefined): string {
  const format = new Intl.DateTimeFormat('en-GB', { timeZone: zoneOf(timezone), weekday: 'short', year: 'numeric', month: '2-digit', day: '2-digit', hour: '2-digit', minute: '2-digit', second: '2-digit', hourCycle: 'h23', timeZoneName: 'short' });
  const parts = Object.fromEntries(format.formatToParts(instant).map(({ type, value }) => [type, value]));
  const { weekday, year, month, day, hour, minute, second, timeZoneName } = parts;
  return `${weekday} ${year}-${month}-${day} ${hour}:${minute}${second === '00' ? '' : `:${second}`} ${timeZoneName}`;
}

/** A zone that this machine knows: the server's empty name is UTC, and its database may be newer. */
function zoneOf(timezone: string | undefined): string {
  try {
    return new Intl.DateTimeFormat('en', { timeZone: timezone || 'UTC' }).resolvedOptions().timeZone;
  } catch {
    return 'UTC';
  }
}

function describeCalendar({ second, minute, hour, dayOfMonth, month, dayOfWeek, year }: CalendarSpecDescription): string {
  const seconds = rangesText(second, 0, 59);
  const years = year.length === 0 ? '*' : rangesText(year);
  const fields = [rangesText(minute, 0, 59), rangesText(hour, 0, 23), rangesText(dayOfMonth, 1, 31), rangesText(month, 'JANUARY', 'DECEMBER'), rangesText(dayOfWeek, 'SUNDAY', 'SATURDAY')];
  if (seconds !== '0') return [seconds, ...fields, years].join(' ');
  return [...fields, ...(years === '*' ? [] : [years])].join(' ');
}

function rangesText(ranges: Ranges, first?: number | string, last?: number | string): string {
  return ranges.map(({ start, end, step }) => {
    const by = step > 1 ? `/${step}` : '';
    if (start === first && end === last) return `*${by}`;
    return start === end ? short(start) : `${short(start)}-${short(end)}${by}`;
  }).join(',');
}

function short(value: number | string): string {
  return typeof value === 'number' ? String(value) : value.slice(0, 3);
}

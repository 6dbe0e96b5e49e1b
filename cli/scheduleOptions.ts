// What a person types about times, checked before anything is created: durations, time zones, calendars, instants. Cron
// expressions are the server's to judge: it knows them best, and creates nothing when one is wrong.
import { DAYS_OF_WEEK, MONTHS, ScheduleOverlapPolicy, type CalendarSpec, type IntervalSpec } from '@temporalio/client';
import { InvalidArgumentError } from 'commander';
import { z } from 'zod';

const unitMs: Record<string, number> = { s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000, w: 604_800_000 };

/** `90m`, `1d12h` → milliseconds, at least a second. */
export const durationMs = z
  .string()
  .regex(/^(\d+[smhdw])+$/, 'Give a duration such as 30s, 10m, 6h, 1d or 1d12h.')
  .transform((text) => [...text.matchAll(/(\d+)([smhdw])/g)].reduce((sum, [, count, unit]) => sum + Number(count) * unitMs[unit!]!, 0))
  .refine((ms) => ms >= 1_000, 'Give at least 1s.');

/** `6h`, or `24h/3h`: every day at 3 h past midnight UTC. */
export const interval = z.string().transform((text, context): IntervalSpec => {
  const [every, offset, ...rest] = text.split('/').map((part) => durationMs.safeParse(part));
  if (every?.success === true && offset?.success !== false && rest.length === 0 && (offset === undefined || offset.data < every.data)) return { every: every.data, ...(offset === undefined ? {} : { offset: offset.data }) };
  context.addIssue({ code: 'custom', message: 'Give a duration such as 6h, or 24h/3h for 3 h past each full day (UTC); the second is shorter than the first.' });
  return z.NEVER;
});

/** A name of the IANA time zone database. */
export const timeZone = z.string().refine(isTimeZone, 'Give a name of the IANA database, such as Europe/Berlin or UTC.');

/** A date, or a date and time; without a zone in it, UTC. */
export const instant = z
  .union([z.iso.date(), z.iso.datetime({ offset: true, local: true })], 'Give a time such as 2026-11-20, 2026-11-20T03:00 or 2026-11-20T03:00:00+01:00 (UTC where no zone is named).')
  .transform((text) => new Date(text.includes('T') && !/(Z|[+-]\d\d:?\d\d)$/.test(text) ? `${text}Z` : text));

/** Name of a schedule: it begins the workflow ids of its runs, and is the runs' name unless --name gives another. */
export const scheduleName = z.string().regex(/^[a-z0-9][a-z0-9-]{0,99}$/, 'Use lower-case letters, digits and hyphens.');

const overlaps = {
  skip: ScheduleOverlapPolicy.SKIP,
  'buffer-one': ScheduleOverlapPolicy.BUFFER_ONE,
  'buffer-all': ScheduleOverlapPolicy.BUFFER_ALL,
  'cancel-other': ScheduleOverlapPolicy.CANCEL_OTHER,
  'terminate-other': ScheduleOverlapPolicy.TERMINATE_OTHER,
  'allow-all': ScheduleOverlapPolicy.ALLOW_ALL,
} as const;
export const overlapNames = Object.keys(overlaps).join(', ');

/** What a run that is due does while the one before still goes on. */
export const overlapPolicy = z.enum(Object.keys(overlaps) as [keyof typeof overlaps, ...(keyof typeof overlaps)[]], `Use one of: ${overlapNames}.`).transform((name): ScheduleOverlapPolicy => overlaps[name]);

/** `SKIP` → `skip`. */
export function overlapName(policy: ScheduleOverlapPolicy): string {
  return Object.entries(overlaps).find(([, value]) => value === policy)?.[0] ?? String(policy);
}

/** One value, a range with an optional step, a list of them, or `*`; ranges are filled in because the client's own default end is 1. */
function field<Unit extends string | number>(unit: z.ZodType<Unit>) {
  const range = z.strictObject({ start: unit, end: unit.optional(), step: z.int().positive().default(1) }).transform(({ start, end = start, step }) => ({ start, end, step }));
  const one = z.union([unit.transform((start) => ({ start, end: start, step: 1 })), range]);
  return z.union([z.literal('*'), one, z.array(one).min(1)]).optional();
}
const whole = (low: number, high: number) => z.int().min(low).max(high);
const named = <Name extends string>(names: readonly Name[]) => z.string().toUpperCase().pipe(z.enum(names));

const calendarFields = z.strictObject({
  second: field(whole(0, 59)),
  minute: field(whole(0, 59)),
  hour: field(whole(0, 23)),
  dayOfMonth: field(whole(1, 31)),
  month: field(named(MONTHS)),
  year: field(whole(2000, 2100)),
  dayOfWeek: field(named(DAYS_OF_WEEK)),
  comment: z.string().optional(),
});

/** Temporal's calendar spec as JSON; second, minute and hour are 0 unless given, all else is any. */
export const calendar = z.string().transform((text, context): CalendarSpec => {
  const parsed = calendarFields.safeParse(parseJson(text), { reportInput: true });
  if (parsed.success && Object.keys(parsed.data).length > 0) return Object.fromEntries(Object.entries(parsed.data).filter(([, value]) => value !== undefined)) as CalendarSpec;
  const why = parsed.success ? 'it is empty' : parsed.error.issues.map(({ path, message }) => `${path.join('.') || 'all of it'}: ${message}`).join('; ');
  context.addIssue({ code: 'custom', message: `Give JSON such as {"dayOfWeek": "SUNDAY", "hour": 3}, {"dayOfMonth": [1, 15]} or {"hour": {"start": 8, "end": 18, "step": 2}}: ${why}.` });
  return z.NEVER;
});

/** A commander argument parser from a schema; its message says what to give. */
export function by<Schema extends z.ZodType<unknown, string>>(schema: Schema): (text: string) => z.output<Schema> {
  return (text) => {
    const parsed = schema.safeParse(text);
    if (parsed.success) return parsed.data;
    throw new InvalidArgumentError(parsed.error.issues.map(({ message }) => message).join(' '));
  };
}

/** As `by`, for an option that may be repeated. */
export function eachBy<Schema extends z.ZodType<unknown, string>>(schema: Schema): (text: string, before?: z.output<Schema>[]) => z.output<Schema>[] {
  return (text, before = []) => [...before, by(schema)(text)];
}

function isTimeZone(name: string): boolean {
  try {
    new Intl.DateTimeFormat('en', { timeZone: name });
    // offsets such as +01:00 are fine for JavaScript, and unknown to the server
    return /^[A-Za-z]/.test(name);
  } catch {
    return false;
  }
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

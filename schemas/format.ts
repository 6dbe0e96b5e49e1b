// Numbers as a person reads them: bytes, counts, durations and tables, the same in every command.

const decimalUnits = ['', 'k', 'M', 'G', 'T', 'P', 'E', 'Z'];

/** `4096000000000` → `"4.1 TB"`. */
export function formatBytes(bytes: number): string {
  return `${scaled(bytes, 1)}B`;
}

/** `9035582198` → `"9.04 G"`, `4096` → `"4,096"`: three digits and a decimal prefix from a hundred thousand up. */
export function formatCount(count: number): string {
  return count < 1e5 ? Math.round(count).toLocaleString('en') : scaled(count, 2);
}

/** `3.99e18` → `"3.99 EFLOP"`. */
export function formatFlops(flops: number): string {
  return `${scaled(flops, 2)}FLOP`;
}

/** Seconds → `"0.4 s"`, `"12 s"`, `"3 min 05 s"`, `"2 h 10 min"`, `"4.5 days"`. */
export function formatDuration(seconds: number): string {
  if (!Number.isFinite(seconds)) return '–';
  if (seconds > 0 && seconds < 0.05) return '< 0.1 s';
  if (seconds < 9.95) return `${seconds.toFixed(1)} s`;
  const whole = Math.round(seconds);
  if (whole < 60) return `${whole} s`;
  if (whole < 3_600) return `${Math.floor(whole / 60)} min ${String(whole % 60).padStart(2, '0')} s`;
  const minutes = Math.round(seconds / 60);
  if (minutes < 48 * 60) return `${Math.floor(minutes / 60)} h ${String(minutes % 60).padStart(2, '0')} min`;
  return `${(seconds / 86_400).toFixed(1)} days`;
}

/** A metric in at most four significant digits; whole numbers as they are. */
export function formatNumber(value: number): string {
  if (Number.isInteger(value)) return String(value);
  const size = Math.abs(value);
  return size >= 1e-3 && size < 1e6 ? String(Number(value.toPrecision(4))) : value.toExponential(2);
}

/**
 * Rows in columns of equal width, two spaces apart; columns named in `right` are aligned to the right.
 *
 * @example
 * alignTable([['stage', 'bytes'], ['tokenize', '18 GB']], [1]); // ['stage     bytes', 'tokenize  18 GB']
 */
export function alignTable(rows: readonly (readonly string[])[], right: readonly number[] = []): string[] {
  const widths: number[] = [];
  for (const row of rows) row.forEach((cell, column) => (widths[column] = Math.max(widths[column] ?? 0, cell.length)));
  return rows.map((row) =>
    row.map((cell, column) => (right.includes(column) ? cell.padStart(widths[column]!) : cell.padEnd(widths[column]!))).join('  ').trimEnd(),
  );
}

function scaled(value: number, decimals: number): string {
  let unit = 0;
  // Rounded first, so that 999,999 is 1.00 M and never 1000 k.
  while (unit < decimalUnits.length - 1 && Number(value.toPrecision(3)) >= 1_000) {
    value /= 1_000;
    unit++;
  }
  const text = unit === 0 && Number.isInteger(value) ? String(value) : value >= 99.95 ? value.toFixed(0) : value.toFixed(decimals);
  return `${text} ${decimalUnits[unit]!}`;
}

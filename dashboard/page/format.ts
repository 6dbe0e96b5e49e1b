// How numbers read, in one place, so that a density looks the same in the table, the header and a tooltip.

const grouped = new Intl.NumberFormat('en-US', { maximumFractionDigits: 0 });

/** 131072 → 131,072. */
export function formatCount(value: number): string {
  return grouped.format(value);
}

/** Three significant digits; an exponent only where zeros would hide the number: 0.0421, 12.3, 1.2e-5, 4,096. */
export function formatNumber(value: number, digits = 3): string {
  if (!Number.isFinite(value)) return '–';
  if (value === 0) return '0';
  const size = Math.abs(value);
  const sign = value < 0 ? '−' : '';
  if (size < 1e-3 || size >= 1e9) return sign + size.toExponential(digits - 1);
  if (size >= 10 ** (digits - 1)) return sign + grouped.format(size);
  return sign + size.toPrecision(digits);
}

/** A density, always with an exponent below 1 %, so that columns compare at a glance: 1.2e-4, 3.4e-2, 0. */
export function formatDensity(value: number): string {
  return value === 0 ? '0' : value.toExponential(1);
}

/** A share as whole percent; what is not nothing or not all stays visible: 92%, 0.4%, >99%. */
export function formatShare(share: number): string {
  const percent = share * 100;
  if (percent < 100 && Math.round(percent) === 100) return '>99%';
  return `${percent > 0 && percent < 1 ? percent.toPrecision(1) : Math.round(percent)}%`;
}

/** A signed number, with a true minus. */
export function formatSigned(value: number): string {
  return `${value > 0 ? '+' : value < 0 ? '−' : ''}${formatNumber(Math.abs(value))}`;
}

/** A signed share in percent, two digits: +0.13%, −2.0%, 0%. */
export function formatSignedShare(share: number): string {
  return share === 0 ? '0%' : `${share > 0 ? '+' : '−'}${formatNumber(Math.abs(share) * 100, 2)}%`;
}

/** n and its noun: 1 feature, 2 features. */
export function formatQuantity(count: number, noun: string): string {
  return `${formatCount(count)} ${noun}${count === 1 ? '' : 's'}`;
}

/** Seconds as a person says them: 42 s, 3 min 20 s, 5 h 12 min. */
export function formatDuration(seconds: number): string {
  if (seconds < 60) return `${seconds < 10 ? seconds.toFixed(1) : Math.round(seconds)} s`;
  const minutes = Math.floor(seconds / 60);
  return minutes < 60 ? `${minutes} min ${Math.round(seconds - minutes * 60)} s` : `${formatCount(Math.floor(minutes / 60))} h ${minutes % 60} min`;
}

/** 1.2 kB, 34 MB, 4.1 TB. */
export function formatBytes(bytes: number): string {
  const units = ['B', 'kB', 'MB', 'GB', 'TB'];
  const power = Math.min(Math.floor(Math.log10(Math.max(bytes, 1)) / 3), units.length - 1);
  const value = bytes / 1000 ** power;
  return `${value < 10 && power > 0 ? value.toFixed(1) : Math.round(value)} ${units[power]}`;
}

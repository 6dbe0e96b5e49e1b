// The reader's own choices (theme, count scales), kept in the browser. Storage may be forbidden or full: then a choice
// lasts as long as the page.

const prefix = 'saeflow:';
const session = new Map<string, string>();

/** A choice made earlier, if any. */
export function remembered(name: string): string | undefined {
  try {
    return session.get(name) ?? localStorage.getItem(prefix + name) ?? undefined;
  } catch {
    return session.get(name);
  }
}

/** Keeps a choice. */
export function remember(name: string, value: string): void {
  session.set(name, value);
  try {
    localStorage.setItem(prefix + name, value);
  } catch {
    // Kept in `session` above.
  }
}

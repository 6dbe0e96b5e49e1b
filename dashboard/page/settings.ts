// The reader's own choices and notes (theme, count scales, stars), kept in the browser. Storage may be forbidden or full: then a choice
// lasts as long as the page.

const prefix = 'saeflow:';
/** What storage did not take. */
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
  try {
    localStorage.setItem(prefix + name, value);
    session.delete(name);
  } catch {
    session.set(name, value);
  }
}

// Light or dark: the system's choice until the reader makes another.
import { el } from './dom.ts';
import { remember, remembered } from './settings.ts';

const darkSystem = matchMedia('(prefers-color-scheme: dark)');
const themeChange = new EventTarget();

/** A button that turns the theme over. */
export function themeToggle(): HTMLElement {
  const button = el('button', { type: 'button', class: 'quiet', onclick: () => choose(isDark() ? 'light' : 'dark') });
  const show = (): void => {
    button.textContent = isDark() ? 'Light' : 'Dark';
    button.setAttribute('aria-label', isDark() ? 'Use the light theme' : 'Use the dark theme');
  };
  themeChange.addEventListener('change', show);
  darkSystem.addEventListener('change', () => themeChange.dispatchEvent(new Event('change')));
  const earlier = remembered('theme');
  if (earlier === 'light' || earlier === 'dark') document.documentElement.dataset.theme = earlier;
  show();
  return button;
}

/** Calls back after each change, for what does not follow the style sheet by itself. */
export function onThemeChange(callback: () => void, signal: AbortSignal): void {
  themeChange.addEventListener('change', callback, { signal });
}

/** Whether the dark theme is in force. */
export function isDark(): boolean {
  const chosen = document.documentElement.dataset.theme;
  return chosen === undefined ? darkSystem.matches : chosen === 'dark';
}

function choose(theme: 'light' | 'dark'): void {
  document.documentElement.dataset.theme = theme;
  remember('theme', theme);
  themeChange.dispatchEvent(new Event('change'));
}

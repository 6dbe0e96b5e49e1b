// The reader's notes on the page: opened for the run that is shown, saved to a file and read from one, and the star and
// comment of one feature.
import { el } from './dom.ts';
import { formatQuantity } from './format.ts';
import { Notes } from './notes.ts';
import type { SiteData } from './siteData.ts';

/** The notes on this run's features; none where the run cannot be told. */
export async function openNotes(data: SiteData): Promise<Notes | undefined> {
  const run = await data.run().catch(() => undefined);
  const key = run?.lineage.find(({ stage }) => stage === 'trainSae')?.key;
  return run === undefined || key === undefined ? undefined : new Notes(key, run.features);
}

/**
 * Buttons that save all notes to a file and read one.
 *
 * @param onImport called when notes have changed.
 */
export function notesTools(notes: Notes, onImport: () => void): HTMLElement {
  const said = el('span', { class: 'hint', role: 'status' });
  const file = el('input', { type: 'file', accept: 'application/json,.json', class: 'visually-hidden', tabindex: -1, 'aria-label': 'File of notes', onchange: () => void read() });
  const read = async (): Promise<void> => {
    const text = await file.files?.[0]?.text();
    if (text === undefined) return;
    try {
      said.textContent = `${formatQuantity(notes.import(text), 'note')} read`;
      onImport();
    } catch (error) {
      said.textContent = error instanceof Error ? error.message : String(error);
    }
    file.value = '';
  };
  const save = el('button', { type: 'button', class: 'quiet', title: 'Save your stars and comments as a file', onclick: () => download('saeflow-notes.json', notes.export()) }, 'Export notes');
  const open = el('button', { type: 'button', class: 'quiet', title: 'Add the stars and comments of a file', onclick: () => file.click() }, 'Import');
  return el('div', { class: 'notes-tools' }, save, open, file, said);
}

function download(name: string, text: string): void {
  const url = URL.createObjectURL(new Blob([text], { type: 'application/json' }));
  el('a', { href: url, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}

/** The star and the comment of a feature. */
export function noteEditor(notes: Notes, feature: number): HTMLElement {
  const star = el('button', { type: 'button', class: 'star-button', onclick: () => (notes.set(feature, { starred: !notes.of(feature).starred }), show()) });
  const comment = el('input', {
    type: 'text',
    id: 'comment',
    maxlength: 2_000,
    placeholder: 'your comment, kept in this browser',
    value: notes.of(feature).comment,
    autocomplete: 'off',
    oninput: () => notes.set(feature, { comment: comment.value.trim() }),
  });
  const show = (): void => {
    const { starred } = notes.of(feature);
    star.textContent = starred ? '★' : '☆';
    star.setAttribute('aria-pressed', String(starred));
    star.setAttribute('aria-label', 'Star this feature');
  };
  show();
  return el('div', { class: 'note-editor' }, star, el('label', { for: 'comment', class: 'visually-hidden' }, 'Comment'), comment);
}

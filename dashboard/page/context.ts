// What every view gets: the data, a signal that ends with the route, and what the page remembers between routes.
import type { SiteData } from './siteData.ts';

export interface PageContext {
  data: SiteData;
  /** Aborted when another route is shown: listeners outside the view's own elements hang on it. */
  signal: AbortSignal;
  memory: PageMemory;
}

/** Kept while the page is open, so that the way back leads to where the reader was. */
export interface PageMemory {
  /** Address of the index as it was last shown. */
  indexHref: string;
  /** Address of the example text as it was last shown. */
  textsHref: string;
  /** The list last shown, through which previous and next step. */
  order?: readonly number[];
  /** The feature last opened, marked in the table on return. */
  lastFeature?: number;
}

export interface View {
  title: string;
  element: HTMLElement;
  /** Where the keyboard starts; default: the heading. */
  focus?: HTMLElement;
  /** Called once the element is in the document, for what needs its size. */
  attached?(): void;
}

// The best few of very many, as they come: of a page's lists nobody needs the order of the rest.

/** Puts `item` into `few`, at most `most` of them and best first, where it belongs there: behind those as good that came before. */
export function keepBestFew<Item>(few: Item[], item: Item, most: number, isBetter: (a: Item, b: Item) => boolean): void {
  if (most === 0 || (few.length === most && !isBetter(item, few[most - 1]!))) return;
  let rank = few.length;
  while (rank > 0 && isBetter(item, few[rank - 1]!)) rank--;
  few.splice(rank, 0, item);
  if (few.length > most) few.pop();
}

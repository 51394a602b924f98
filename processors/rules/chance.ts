/**
 * A number in [0, 1) that depends only on the run's seed, the iteration, the record's id and `purpose`:
 * never on the order in which records or answers arrive.
 */
export type Chance = (purpose: string) => number;

/**
 * The items in a random order that depends on nothing but their own names: whoever hands them over in another
 * order gets the same result. Equal draws, which chance hardly ever makes, are settled by the names.
 */
export function shuffle<Item>(
  items: readonly Item[],
  nameOf: (item: Item) => string,
  chance: Chance,
): readonly Item[] {
  return items
    .map((item) => ({ item, name: nameOf(item), draw: chance(nameOf(item)) }))
    .sort((one, other) => one.draw - other.draw || (one.name < other.name ? -1 : 1))
    .map(({ item }) => item);
}

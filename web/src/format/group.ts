/** Grouping by a key. Pure. */

/** Groups by key, in the order of first occurrence; `Map.groupBy` is not in every browser yet. */
export function groupBy<T>(things: readonly T[], key: (thing: T) => string): Map<string, T[]> {
  const groups = new Map<string, T[]>();
  for (const thing of things) {
    const held = groups.get(key(thing));
    if (held) held.push(thing);
    else groups.set(key(thing), [thing]);
  }
  return groups;
}

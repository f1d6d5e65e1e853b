/** Line diffs of two texts, and merging the changes of two users. Pure. */

/** Lines `at` to `at + removed.length` of the old text are replaced by `added`. */
export interface Hunk {
  /** Counted from 0. */
  at: number;
  removed: string[];
  added: string[];
}

/** Beyond this many pairs of lines, the whole middle counts as one change, so that a comparison does not take seconds. */
const MOST_PAIRS = 4_000_000;

/** The changes that lead from one text to another, in order. */
export function hunks(before: string, after: string): Hunk[] {
  const [a, b] = [before.split("\n"), after.split("\n")];
  let head = 0;
  while (head < a.length && head < b.length && a[head] === b[head]) head += 1;
  let tail = 0;
  while (tail < a.length - head && tail < b.length - head && a[a.length - 1 - tail] === b[b.length - 1 - tail]) tail += 1;
  const [left, right] = [a.slice(head, a.length - tail), b.slice(head, b.length - tail)];
  if (left.length === 0 && right.length === 0) return [];
  if (left.length * right.length > MOST_PAIRS) return [{ at: head, removed: left, added: right }];
  return between(left, right).map((hunk) => ({ ...hunk, at: hunk.at + head }));
}

/** By the longest common subsequence of lines. */
function between(a: readonly string[], b: readonly string[]): Hunk[] {
  const width = b.length + 1;
  const longest = new Uint32Array((a.length + 1) * width);
  const known = (i: number, j: number): number => longest[i * width + j] ?? 0;
  for (let i = a.length - 1; i >= 0; i -= 1) {
    for (let j = b.length - 1; j >= 0; j -= 1) {
      longest[i * width + j] = a[i] === b[j] ? known(i + 1, j + 1) + 1 : Math.max(known(i + 1, j), known(i, j + 1));
    }
  }
  const found: Hunk[] = [];
  let open: Hunk | null = null;
  let [i, j] = [0, 0];
  while (i < a.length || j < b.length) {
    if (i < a.length && j < b.length && a[i] === b[j]) {
      open = null;
      i += 1;
      j += 1;
      continue;
    }
    if (!open) {
      open = { at: i, removed: [], added: [] };
      found.push(open);
    }
    if (j >= b.length || (i < a.length && known(i + 1, j) >= known(i, j + 1))) open.removed.push(a[i++] ?? "");
    else open.added.push(b[j++] ?? "");
  }
  return found;
}

/** A unified diff, with `context` unchanged lines around each change. */
export function unified(before: string, after: string, context = 3): string {
  const lines = before.split("\n");
  let done = 0;
  return hunks(before, after).map((hunk) => {
    const from = Math.max(done, hunk.at - context);
    const end = hunk.at + hunk.removed.length;
    done = Math.min(lines.length, end + context);
    return [
      `@@ line ${hunk.at + 1} @@`,
      ...lines.slice(from, hunk.at).map((line) => ` ${line}`),
      ...hunk.removed.map((line) => `-${line}`),
      ...hunk.added.map((line) => `+${line}`),
      ...lines.slice(end, done).map((line) => ` ${line}`),
    ].join("\n");
  }).join("\n");
}

/** Merges two changes of one text; `null` if they touch the same lines, so that the user must choose. */
export function merge(base: string, mine: string, theirs: string): string | null {
  const [ours, others] = [hunks(base, mine), hunks(base, theirs)];
  const end = (hunk: Hunk): number => hunk.at + hunk.removed.length;
  const touch = ours.some((one) => others.some((other) => one.at <= end(other) && other.at <= end(one)));
  if (touch) return null;
  const lines = base.split("\n");
  for (const hunk of [...ours, ...others].sort((a, b) => b.at - a.at)) lines.splice(hunk.at, hunk.removed.length, ...hunk.added);
  return lines.join("\n");
}

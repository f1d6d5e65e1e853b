/** A unified diff. The signs carry the same information as the colours. */

const KINDS: Record<string, string> = { "+": "added", "-": "removed", "@": "hunk" };

export function Difference({ diff, label }: { diff: string; label: string }) {
  const lines = diff.split("\n").filter((line) => !/^(---|\+\+\+) /.test(line));
  while (lines.at(-1) === "") lines.pop();
  return (
    <pre class="difference" tabIndex={0} role="region" aria-label={label}>
      {lines.map((line, index) => <span key={index} class={`diff-${KINDS[line.charAt(0)] ?? "same"}`}>{line || " "}{"\n"}</span>)}
    </pre>
  );
}

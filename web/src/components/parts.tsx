/** The parts of a view, each with its own address. */
import { href, type View } from "../state/address";

export function Parts({ view, part, parts }: {
  view: View;
  part: string;
  parts: readonly { part: string; text: string; count?: number | undefined }[];
}) {
  return (
    <nav class="parts" aria-label="Parts of this view">
      {parts.map((one) => (
        <a key={one.part} href={href(view, one.part)} aria-current={one.part === part ? "page" : undefined}>
          {one.text}{one.count ? <span class="count"> {one.count}</span> : null}
        </a>
      ))}
    </nav>
  );
}

/** The protocol sheet of a server: how it implements NTP. */
import { api } from "../../api/client";
import type { TraitRow } from "../../api/types";
import { Badge, Empty, Facts, Failure, Loading, Panel } from "../../components/bits";
import { useResource } from "../../state/resource";

const EACH_MS = 60_000;

export function SheetPanel({ id }: { id: string }) {
  const { data, error, retry } = useResource(`sheet ${id}`, (signal) => api.sheet(id, signal), EACH_MS);
  return (
    <Panel title="Protocol sheet" note="What the replies of this server show. At most one extra request a day is sent; lasting changes are recorded as events.">
      {error && !data && <Failure what="The protocol sheet" error={error} retry={retry} />}
      {!data && !error && <Loading what="the protocol sheet" />}
      {data && data.sheets.length === 0 && <Empty>This server has not answered yet.</Empty>}
      {data?.sheets.map((sheet) => (
        <div key={sheet.address}>
          {data.sheets.length > 1 && <h3>{sheet.address}</h3>}
          <Facts facts={sheet.traits.map((row) => [capital(row.title), <Text row={row} />] as const)} />
        </div>
      ))}
    </Panel>
  );
}

function Text({ row }: { row: TraitRow }) {
  if (row.value === null) return <span class="muted">{row.text}</span>;
  return <>{row.varies && <Badge tone="warn">varies</Badge>} {row.text}</>;
}

/** Capitalises a title. Pure. */
export function capital(title: string): string {
  return title.charAt(0).toUpperCase() + title.slice(1);
}

/** The first view: the verdict, the intervals, the servers. */
import type { Picture } from "../../state/live";
import { Empty } from "../../components/bits";
import { Intervals } from "./intervals";
import { ServerTable } from "./table";
import { Tiles } from "./tiles";
import { VerdictCard } from "./verdict";

export function Overview({ picture }: { picture: Picture }) {
  const rows = picture.servers.servers;
  if (rows.length === 0) {
    return <Empty>No server is configured. Add a <code>[[server]]</code> with an <code>address</code> to the configuration, or set <code>NTP_SERVER</code>.</Empty>;
  }
  return (
    <>
      <Tiles picture={picture} />
      <VerdictCard verdict={picture.verdict} rows={rows} />
      <Intervals rows={rows} verdict={picture.verdict} />
      <ServerTable rows={rows} />
    </>
  );
}

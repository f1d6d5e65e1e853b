/** The first view: the verdict, the intervals, the servers. */
import type { Picture } from "../../state/live";
import { may } from "../../state/session";
import { AnotherServer, FirstServer } from "../first/index";
import { Intervals } from "./intervals";
import { ServerTable } from "./table";
import { Tiles } from "./tiles";
import { VerdictCard } from "./verdict";

/** With this many servers, a majority can identify a wrong server even if another one does not answer. */
const ENOUGH = 4;

export function Overview({ picture }: { picture: Picture }) {
  const rows = picture.servers.servers;
  if (rows.length === 0) {
    return <FirstServer />;
  }
  return (
    <>
      <Tiles picture={picture} />
      <VerdictCard verdict={picture.verdict} rows={rows} />
      {rows.length < ENOUGH && may("admin") && <AnotherServer count={rows.length} />}
      <Intervals rows={rows} verdict={picture.verdict} />
      <ServerTable rows={rows} />
    </>
  );
}

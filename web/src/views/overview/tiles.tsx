/** A row of tiles with the overall state. Each tile links to the servers or alerts that it counts. */
import type { ComponentChildren } from "preact";
import { ToneIcon } from "../../components/bits";
import { opinion } from "../../format/opinion";
import { duration, offset } from "../../format/units";
import { SEVERITIES, stateWords, type Tone } from "../../format/words";
import { firing, worst } from "../../state/alerts";
import { href } from "../../state/address";
import type { Picture } from "../../state/live";
import { unit } from "../../state/prefs";
import { tallyOf, type Tally } from "./arrange";

const SERVERS: readonly { tally: Tally; text: string; tone: Tone }[] = [
  { tally: "ok", text: "OK", tone: "good" }, { tally: "wrong", text: "wrong", tone: "bad" },
  { tally: "unjudged", text: "not judged", tone: "idle" }, { tally: "silent", text: "unreachable or failing", tone: "warn" },
];

export function Tiles({ picture }: { picture: Picture }) {
  const rows = picture.servers.servers;
  const alerts = firing.value.length;
  return (
    <nav class="tiles" aria-label="At a glance">
      {SERVERS.map(({ tally, text, tone }) => {
        const members = rows.filter((row) => tallyOf(row) === tally);
        // Green only for servers that the table shows as right.
        const shown = members.length === 0 ? "idle" : tally === "ok" && !members.some((row) => stateWords(row).tone === "good") ? "idle" : tone;
        const isNew = tally === "unjudged" && members.length > 0 && members.every((row) => row.state === "pending");
        return <Tile key={tally} to={href("overview", "", { is: tally })} tone={shown} big={String(members.length)} small={isNew ? "not polled yet" : text} />;
      })}
      <Tile to={href("alerts")} tone={worst.value === null ? "idle" : SEVERITIES[worst.value].tone} big={String(alerts)} small={alerts === 1 ? "alert fires" : "alerts fire"} />
      <ClockTile picture={picture} />
    </nav>
  );
}

function ClockTile({ picture }: { picture: Picture }) {
  const { local, majority } = picture.verdict;
  const chosen = unit.value;
  const { tone } = opinion(picture.verdict, chosen);
  if (!majority || local.estimate_s === null || local.bound_s === null) {
    return <Tile to={href("clock")} tone="idle" big="?" small="this host's clock: not judged" />;
  }
  const wrong = tone === "bad";
  return (
    <Tile to={href("clock")} tone={local.distrust && !wrong ? "idle" : tone} big={`${offset(local.estimate_s, chosen)} ± ${duration(local.bound_s, chosen)}`}
      small={wrong ? `this host's clock: ${local.sign === "fast" ? "ahead" : "behind"}` : "true time against this host's clock"} />
  );
}

function Tile({ to, tone, big, small }: { to: string; tone: Tone; big: ComponentChildren; small: string }) {
  return (
    <a class={`tile tile-${tone}`} href={to}>
      <ToneIcon tone={tone} size={16} />{" "}
      <strong>{big}</strong> <span>{small}</span>
    </a>
  );
}

/** Events, newest first. */
import type { EventEntry } from "../api/types";
import { instant, inZone, span } from "../format/time";
import { title } from "../format/words";
import { zone } from "../state/prefs";
import { href } from "../state/address";

const MOST = 50;

export function EventList({ events, withServer }: { events: readonly EventEntry[]; withServer: boolean }) {
  const newest = [...events].reverse().slice(0, MOST);
  return (
    <ol class="events">
      {newest.map((event) => (
        <li key={event.id}>
          <time dateTime={event.start}>{instant(event.start, zone.value)}</time>
          <strong>{title(event.kind)}</strong>
          <span>
            {withServer && event.server && <><a href={href("server", event.server)}>{event.server}</a>: </>}
            {inZone(event.sentence, zone.value)} <span class="muted">{lasted(event)}</span>
          </span>
        </li>
      ))}
      {events.length > MOST && <li class="muted">{events.length - MOST} earlier events are not listed.</li>}
    </ol>
  );
}

function lasted({ start, end }: EventEntry): string {
  if (end === null) return "Ongoing.";
  const seconds = (Date.parse(end) - Date.parse(start)) / 1000;
  return seconds < 1 ? "" : `Lasted ${span(seconds)}.`;
}

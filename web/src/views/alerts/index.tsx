/** Alerts: current and earlier ones, silences, rules and notifiers. */
import { Parts } from "../../components/parts";
import { active, firing } from "../../state/alerts";
import { ActivePart } from "./active";
import { HistoryPart } from "./history";
import { NotifiersPart } from "./notifiers";
import { RulesPart } from "./rules";
import { SilencesPart } from "./silences";

export function AlertsView({ part }: { part: string }) {
  return (
    <>
      <h1 class="view-title">Alerts</h1>
      <Parts view="alerts" part={part} parts={[
        { part: "", text: "Now", count: firing.value.length || active.value?.length },
        { part: "history", text: "History" },
        { part: "silences", text: "Silences" },
        { part: "rules", text: "Rules" },
        { part: "notifiers", text: "Notifiers" },
      ]} />
      <Part part={part} />
    </>
  );
}

function Part({ part }: { part: string }) {
  switch (part) {
    case "history": return <HistoryPart />;
    case "silences": return <SilencesPart />;
    case "rules": return <RulesPart />;
    case "notifiers": return <NotifiersPart />;
    default: return <ActivePart />;
  }
}

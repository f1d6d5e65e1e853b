/** The configuration: single servers, the whole file, the effective values, the audit log. */
import { Parts } from "../../components/parts";
import { isDirty } from "../../state/draft";
import { AuditPart } from "./audit";
import { FilePart } from "./file";
import { ServersPart } from "./servers";
import { ValuesPart } from "./values";

export function ConfigView({ part }: { part: string }) {
  return (
    <>
      <h1 class="view-title">Configuration</h1>
      <Parts view="config" part={part} parts={[
        { part: "", text: "Servers" },
        { part: "file", text: isDirty.value ? "File (not applied)" : "File" },
        { part: "values", text: "In effect" },
        { part: "audit", text: "Audit log" },
      ]} />
      <Part part={part} />
    </>
  );
}

function Part({ part }: { part: string }) {
  switch (part) {
    case "file": return <FilePart />;
    case "values": return <ValuesPart />;
    case "audit": return <AuditPart />;
    default: return <ServersPart />;
  }
}

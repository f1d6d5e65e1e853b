/** Describes an action in words instead of a method and a path. Pure. */
import type { AuditEntry } from "../../api/types";

/** By method and path of the API; `…` is the name in the path. */
const ACTIONS: Record<string, string> = {
  "PUT /config/file": "Changed the configuration file", "POST /config/check": "Checked a configuration",
  "POST /servers": "Added a server", "PATCH /servers/{id}": "Changed the server …", "DELETE /servers/{id}": "Removed the server …",
  "POST /servers/{id}/pause": "Paused …", "POST /servers/{id}/resume": "Resumed …", "POST /servers/{id}/probe": "Polled …",
  "POST /silences": "Silenced alerts", "DELETE /silences/{id}": "Ended silence …", "POST /notifiers/{name}/test": "Tested the notifier …",
  "POST /notifiers/{id}/test": "Tested the notifier …", "POST /reports": "Made a report", "POST /session": "Signed in", "DELETE /session": "Signed out",
};

/** Unknown actions are shown unchanged. */
export function actionWords({ action, target }: Pick<AuditEntry, "action" | "target">): string {
  const pattern = action.replace("/api/v1", "");
  const words = ACTIONS[pattern];
  if (words === undefined) return [action, target].filter(Boolean).join(" ");
  const at = target.startsWith("/") ? target.indexOf(": ") : -1;
  const path = target.startsWith("/") ? (at < 0 ? target : target.slice(0, at)) : "";
  const more = path === "" ? target : at < 0 ? "" : target.slice(at + 2);
  return words.replace("…", () => nameIn(pattern, path.replace("/api/v1", ""))).trim() + (more ? `: ${more}` : "");
}

/** The part of the path where the pattern has its parameter. */
function nameIn(pattern: string, path: string): string {
  const at = pattern.split(" ")[1]?.split("/").findIndex((part) => part.startsWith("{")) ?? -1;
  const text = path.split("/")[at] ?? "";
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

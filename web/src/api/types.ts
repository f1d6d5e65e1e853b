/**
 * Short names for the types of the API. The types are generated from `openapi.json` (`npm run types`) when the page is
 * built, including their comments.
 */
import type { components } from "./generated";

type Schemas = components["schemas"];

export type Condition = Schemas["Condition"];
export type Class = Schemas["Class"];
export type Kind = Schemas["Kind"];
export type Rate = Schemas["Rate"];
export type ServerRow = Schemas["Row"];
export type NtsState = Schemas["NtsState"];
export type Certificate = Schemas["CertificateRow"];
export type ServerPage = Schemas["Page"];
/** Only servers of other vantages, which the page does not show, have no settings. */
export type ServerDetail = Schemas["Detail"] & { settings: Settings };
export type Settings = Schemas["Settings"];
export type LocalVerdict = Schemas["LocalVerdict"];
export type Majority = Schemas["MajorityVerdict"];
export type Verdict = Schemas["VerdictBody"];
export type VerdictState = Verdict["state"];
export type KernelState = Schemas["KernelState"];
export type DaemonView = Schemas["DaemonView"];
export type LocalClock = Schemas["Local"];
/** The parts of a point that charts draw. */
export type ClockPoint = Omit<
  Schemas["LocalPoint"], "n" | "trusted" | "kernel_synchronised" | "daemon_offset_s" | "daemon_bound_s" | "wall_less_raw_s"
>;
export type LocalHistory = Omit<Schemas["LocalHistory"], "points" | "changes"> & { points: ClockPoint[] };
export type HistorySeries = Schemas["Columns"];
export type HistoryBody = Schemas["HistoryBody"];
export type Distribution = Schemas["WindowSummary"]["offset"];
export type Histogram = Schemas["DisplayHistogram"];
export type SeriesStats = Schemas["SeriesStats"];
export type Stats = Schemas["Stats"];
export type Stability = Schemas["Stability"];
export type StabilityBody = Schemas["StabilityBody"];
export type SheetBody = Schemas["SheetBody"];
export type TraitRow = Schemas["TraitRow"];
export type Moment = Schemas["Moment"];
export type Refusal = Schemas["Refusal"];
export type EvidenceBody = Schemas["EvidenceBody"];
export type EventEntry = Schemas["Entry"];
export type EventsBody = Schemas["Events"];
export type HealthStatus = Schemas["Status"];
export type SinkHealth = Schemas["SinkHealth"];
export type Health = Schemas["Health"];
export type Version = Schemas["Version"];

export type Severity = Alert["severity"];
export type AlertState = Schemas["AlertState"];
export type Alert = Schemas["Active"];
export type PastAlert = Schemas["Past"];
export type AlertsBody = Schemas["Alerts"];
export type Rule = Schemas["RuleStatus"];
export type Variable = Schemas["Described"];
export type RulesBody = Schemas["Rules"];
export type RuleCheck = Schemas["Checked"];
export type Replayed = Schemas["Replayed"];
export type Silence = Schemas["Silence"];
export type OpenWindow = Schemas["OpenWindow"];
export type SilencesBody = Schemas["Silences"];
export type NewSilence = Schemas["NewSilence"];
export type Notifier = Schemas["NotifierRow"];
export type NotifiersBody = Schemas["Notifiers"];
export type Tested = Schemas["Tested"];
export type ReportRow = Schemas["Kept"];
export type ReportUnderWay = Schemas["UnderWay"];
export type ReportsBody = Schemas["Reports"];

/** Types for the first start, before there are servers. */
export type KnownServer = Schemas["KnownServer"];
export type ServerTest = Schemas["ServerTest"];
export type SetUpDone = Schemas["SetUpDone"];

export type Session = Schemas["SessionView"];
export type Role = NonNullable<Session["role"]>;
export type ConfigFile = Schemas["FileView"];
export type Fault = Schemas["FaultView"];
export type ConfigCheck = Schemas["Check"];
export type ConfigChanges = Schemas["ChangesView"];
export type AuditEntry = Schemas["AuditView"];
export type AuditBody = Schemas["AuditBody"];

export type FleetVerdict = Schemas["FleetVerdictBody"];
export type FleetSkew = Schemas["SkewBody"];
export type FleetVantage = Schemas["Vantage"];
export type FleetVantages = Schemas["VantagesBody"];
export type FleetAgent = Schemas["AgentBody"];
export type FleetCell = Schemas["Cell"];
export type FleetMatrix = Schemas["MatrixBody"];

export type Json = null | boolean | number | string | Json[] | { [key: string]: Json };

/** The configuration as it is shown: its values depend on the file. */
export interface ShownConfig {
  values: Json;
  [more: string]: Json;
}

/** The keys of a `[[server]]` to set; `null` removes one. */
export type ServerKeys = Record<string, Json>;

/** JSON Schema 2020-12, as far as the schema of the configuration uses it. */
export interface Schema {
  type?: string | string[];
  description?: string;
  default?: Json;
  /** Describes a default that depends on other values. */
  "x-default"?: string;
  examples?: Json[];
  properties?: Record<string, Schema>;
  required?: string[];
  items?: Schema;
  additionalProperties?: Schema | boolean;
  oneOf?: Schema[];
  const?: Json;
  enum?: Json[];
  minimum?: number;
  maximum?: number;
  /** A secret. */
  writeOnly?: boolean;
}

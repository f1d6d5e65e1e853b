/** What a hub says of its fleet. */

export interface FleetVerdict {
  as_of: string;
  since: string | null;
  state: "consistent" | "server_wrong" | "vantage_wrong" | "path" | "several" | "undecidable";
  servers: { server: string; kind: string; gap_s: number | null; proven: boolean }[];
  vantages: { vantage: string; kind: string; gap_s: number | null; proven: boolean }[];
  paths: { vantage: string; server: string }[];
  alternatives: string[][];
  assumption: string;
  sentence: string;
  confidence: number;
}

export interface FleetSkew {
  as_of: string;
  limit_s: number;
  skew: { a: string; b: string; estimate_s: number; bound_s: number }[];
}

export interface FleetVantage {
  name: string;
  state: "heard" | "silent" | "unknown";
  heard_s_ago: number | null;
  version: string | null;
  clock_ahead_s: number | null;
  received: number;
  lost: number;
  refused: number;
  reason: string | null;
  waiting: number | null;
  planned: boolean | null;
  refusals: string[];
  nts: { server: string; authenticated: boolean; fault: string | null; certificate_days_left: number | null }[];
}

export interface FleetVantages {
  as_of: string;
  hub: { name: string; connected: boolean; reason: string | null; speaks: boolean; caught_up: boolean; late: number };
  vantages: FleetVantage[];
}

export interface FleetCell {
  vantage: string;
  server: string;
  address: string | null;
  offset_s: number | null;
  root_distance_s: number | null;
  delay_s: number | null;
  loss: number;
  authentication: "none" | "nts";
  outcome: string;
  last_poll: string;
}

export interface FleetMatrix {
  as_of: string;
  cells: FleetCell[];
}

/** What an agent says of itself. */
export interface FleetAgent {
  as_of: string;
  name: string;
  connected: boolean;
  reason: string | null;
  hub_heard_s_ago: number | null;
  planned: boolean;
  plan_error: string | null;
  refusals: string[];
  waiting: number;
  dropped: number;
  foreign: number;
}

/** What the service is. */
export interface Version {
  version: string;
  vantage: string;
  fleet_hub: boolean;
}

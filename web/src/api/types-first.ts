/** What the service answers before it has servers. */

/** A server that the time daemon or DHCP of the host names. */
export interface KnownServer {
  address: string;
  /** The file that names it. */
  file: string;
}

/** One request to a server that need not be configured. */
export interface ServerTest {
  /** The address that was asked; `null` when the name does not resolve. */
  address: string | null;
  /** How many other addresses the name has. */
  others: number;
  poll: {
    outcome: string;
    reason: string;
    offset_s: number | null;
    delay_s: number | null;
    root_distance_s: number | null;
    stratum: number | null;
    refid: string | null;
  };
}

/** What the one-time link of the first start became. */
export interface SetUpDone {
  name: string;
  role: string;
  /** Shown once: only its hash is kept. */
  token: string;
  file: string;
}

/** The entry point: styles, the page, and the connection to the service. */
import { effect } from "@preact/signals";
import { render } from "preact";
import { App } from "./app";
import { followAlerts, leaveAlerts } from "./state/alerts";
import { follow, leave } from "./state/live";
import { learnSession, mayRead } from "./state/session";
import { takeSetupLink } from "./state/setup";
import { forgetUptime } from "./state/uptime";
import { showMark } from "./state/mark";
import "./styles/tokens.css";
import "./styles/base.css";
import "./styles/parts.css";
import "./styles/table.css";
import "./styles/charts.css";
import "./styles/forms.css";
import "./styles/alerts.css";
import "./styles/editor.css";

async function begin(root: HTMLElement): Promise<void> {
  await takeSetupLink();
  // Ask first, so that a page that needs a token asks for it instead of sending requests that are rejected.
  await learnSession();
  render(<App />, root);
  showMark();
  effect(() => {
    if (mayRead.value) {
      follow();
      followAlerts();
    } else {
      leave();
      leaveAlerts();
      forgetUptime();
    }
  });
}

const root = document.getElementById("app");
if (root) void begin(root);

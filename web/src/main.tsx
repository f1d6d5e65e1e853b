/** The beginning: styles, the page, and the link to the service. */
import { render } from "preact";
import { App } from "./app";
import { follow } from "./state/live";
import "./styles/tokens.css";
import "./styles/base.css";
import "./styles/parts.css";
import "./styles/table.css";
import "./styles/charts.css";

const root = document.getElementById("app");
if (root) {
  render(<App />, root);
  follow();
}

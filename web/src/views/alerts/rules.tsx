/** The rules, their state, and the variables that a rule may use. */
import { alerting } from "../../api/client";
import type { Rule, RulesBody, Variable } from "../../api/types";
import { Badge, Empty, Facts, Failure, Loading, Panel } from "../../components/bits";
import { groupBy } from "../../format/group";
import { duration } from "../../format/units";
import { SEVERITIES, title } from "../../format/words";
import { href } from "../../state/address";
import { useResource } from "../../state/resource";
import { route } from "../../state/route";
import { RuleEditor } from "./rule-editor";
import { NEW_RULE, textsOf } from "./rule-text";
import { selectorText } from "./words";

export function RulesPart() {
  const { data, error, retry } = useResource("rules", alerting.rules, 15_000);
  if (error && !data) return <Failure what="The rules" error={error} retry={retry} />;
  if (!data) return <Loading what="the rules" />;
  return <Body body={data} />;
}

function Body({ body }: { body: RulesBody }) {
  const { query } = route.value;
  const name = query.get("rule");
  const found = body.rules.find((rule) => rule.name === name);
  if (name !== null && !found) return <Empty>There is no rule “{name}”. <a href={href("alerts", "rules")}>All rules</a></Empty>;
  if (found || query.has("new")) {
    const begin = found ? textsOf(found) : { ...NEW_RULE, expr: query.get("expr") ?? "" };
    return <RuleEditor key={found?.name ?? ""} begin={begin} rule={found ?? null} variables={body.variables} />;
  }
  return (
    <Panel title="Rules" note="Each rule is evaluated for every server that it covers. Your own rules, and changes to the built-in ones, are in the configuration."
      tools={<a class="button act-main" href={href("alerts", "rules", { new: "1" })}>Write a rule</a>}>
      {body.rules.length === 0 && <Empty>There are no rules: the default ones are switched off, and no <code>[[alert]]</code> is configured.</Empty>}
      <ul class="alerts">{body.rules.map((rule) => <Line key={rule.name} rule={rule} />)}</ul>
      <Variables variables={body.variables} />
    </Panel>
  );
}

function Line({ rule }: { rule: Rule }) {
  const { label, tone } = SEVERITIES[rule.severity];
  return (
    <li class={rule.enabled ? "alert" : "alert alert-off"}>
      <div class="alert-words">
        <p class="alert-summary">{title(rule.name)} <Badge tone={rule.enabled ? tone : "idle"}>{rule.enabled ? label : "Switched off"}</Badge>{" "}
          <span class="muted">{rule.source === "default" ? "default" : "configured"}{rule.enabled && `, ${rule.state}`}</span></p>
        <pre class="expr">{rule.expr}</pre>
        {rule.last_error && <p class="notifier-error">{rule.last_error}</p>}
        <details>
          <summary>Settings</summary>
          <Facts facts={[
            ["Holds for", rule.for, "How long the condition must be true before the alert fires"],
            ["Keeps firing for", rule.keep_firing_for, "After the condition is no longer true"],
            ["Servers", selectorText(rule.servers)],
            ["Notifies", rule.notify && rule.notify.length > 0 ? rule.notify.join(", ") : "every notifier"],
            ["One evaluation takes", duration(rule.eval_us / 1e6)],
          ]} />
        </details>
      </div>
      <div class="row-buttons"><a class="button act-small" href={href("alerts", "rules", { rule: rule.name })} aria-label={`Open ${rule.name}`}>Open</a></div>
    </li>
  );
}

/** The variables that an expression may use. */
export function Variables({ variables }: { variables: readonly Variable[] }) {
  const groups = groupBy(variables, (variable) => variable.of);
  return (
    <details class="section">
      <summary>Variables for rules</summary>
      {[...groups].map(([of, held]) => (
        <section key={of} aria-label={of}>
          <h3 class="sub">{title(of)}</h3>
          <dl class="variables">
            {held.map((one) => (
              <div key={one.name}><dt><code>{one.name}</code> <span class="muted">{one.type}{one.unit && `, ${one.unit}`}</span></dt><dd>{one.help}</dd></div>
            ))}
          </dl>
        </section>
      ))}
    </details>
  );
}

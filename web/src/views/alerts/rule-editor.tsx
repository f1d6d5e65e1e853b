/** The editor of a rule: it is checked while the user types, replayed over the past, and added to the configuration. */
import { useState } from "preact/hooks";
import { alerting, settings } from "../../api/client";
import type { Rule, RuleCheck, Variable } from "../../api/types";
import { Act, NeedsRole } from "../../components/act";
import { Panel, ToneIcon } from "../../components/bits";
import { ChoiceField, Field, FormError } from "../../components/fields";
import { hunks } from "../../format/lines";
import { SEVERITIES, title } from "../../format/words";
import { useAction } from "../../state/action";
import { href } from "../../state/address";
import { useChecked } from "../../state/checked";
import { draft } from "../../state/draft";
import { may } from "../../state/session";
import { Replay } from "./replay";
import { changed, putRule, ruleOf, ruleToml, type RuleTexts } from "./rule-text";
import { Variables } from "./rules";

export function RuleEditor({ begin, rule, variables }: { begin: RuleTexts; rule: Rule | null; variables: readonly Variable[] }) {
  const [texts, setTexts] = useState(begin);
  // For a built-in rule, only the changed keys are written; under another name it is a new rule.
  const builtIn = rule?.source === "default" && texts.name === rule.name;
  const unchanged = rule !== null && JSON.stringify(texts) === JSON.stringify(begin);
  const lacking = texts.name.trim() === "" ? "A rule needs a name." : texts.expr.trim() === "" ? "A rule needs an expression." : null;
  const set = (key: keyof RuleTexts) => (value: string): void => setTexts({ ...texts, [key]: value });
  return (
    <>
      <p class="crumb"><a href={href("alerts", "rules")}>Rules</a> / {rule ? rule.name : "new"}</p>
      <Panel title={rule ? title(rule.name) : "A new rule"} note={rule?.source === "default" ? "A built-in rule. Your changes are added to the configuration under its name; everything else stays as built in." : undefined}>
        <NeedsRole need="operate" what="Checking and replaying a rule" />
        <div class="form">
          <Field label="Expression" value={texts.expr} onInput={set("expr")} mono lines={3}
            help="Evaluated for each server; the alert fires while it is true." placeholder="abs_offset_ms > 20 && provable" />
          {may("operate") && <Verdict texts={texts} />}
          <div class="form-grid">
            <Field label="Name" value={texts.name} onInput={set("name")} mono help="Unique. The name of a built-in rule changes that rule." placeholder="high-offset" />
            <ChoiceField label="Severity" value={texts.severity} onChange={set("severity")} options={Object.entries(SEVERITIES).map(([value, { label }]) => ({ value, text: label }))} />
            <Field label="Holds for" value={texts.for} onInput={set("for")} mono help="How long the expression must be true before the alert fires." placeholder="5m" />
            <Field label="Keeps firing for" value={texts.keep_firing_for} onInput={set("keep_firing_for")} mono help="How long the alert keeps firing after it is no longer true." placeholder="not at all" />
            <Field label="Servers" value={texts.servers} onInput={set("servers")} mono help="Names, tags or tag:value, separated by commas. Empty: all." />
            <Field label="Notify" value={texts.notify} onInput={set("notify")} mono help="Names of notifiers. Empty: every one." />
          </div>
          <Field label="Summary" value={texts.summary} onInput={set("summary")} mono help="One line for a person; a template." />
        </div>
        <Variables variables={variables} />
      </Panel>
      <Replay rule={ruleOf(texts)} />
      <Snippet texts={builtIn ? changed(begin, texts) : texts} blocked={unchanged ? "No changes yet." : lacking} />
    </>
  );
}

/** The service's check of the rule while the user types. */
function Verdict({ texts }: { texts: RuleTexts }) {
  const blank = texts.expr.trim() === "";
  // A rule is checked even before it has a name.
  const checked = useChecked(blank ? null : texts, (rule, signal) =>
    alerting.checkRule(ruleOf({ ...rule, name: rule.name.trim() || "unnamed" }), signal));
  const { result, error } = checked ?? { result: null, error: null };
  return (
    <div class="rule-verdict" role="status">
      {blank && <p class="muted">Enter an expression.</p>}
      {!blank && !checked && <p class="muted">Checking …</p>}
      {error && <p><ToneIcon tone="bad" size={14} /> {error.message}</p>}
      {result?.valid && <p><ToneIcon tone="good" size={14} /> The rule is valid.</p>}
      {result && !result.valid && (
        <ul class="faults">{result.faults.map(faultText).map((fault) => <li key={fault}><ToneIcon tone="bad" size={14} /> <pre>{fault}</pre></li>)}</ul>
      )}
    </div>
  );
}

function faultText(fault: RuleCheck["faults"][number]): string {
  return [fault.path, fault.message].filter(Boolean).join(": ");
}

function Snippet({ texts, blocked }: { texts: RuleTexts; blocked: string | null }) {
  const put = useAction(async () => {
    const base = draft.value?.base ?? await settings.file();
    if (base.format !== "toml") throw new Error(`The configuration is ${base.format.toUpperCase()}: copy the rule into it by hand.`);
    const before = draft.value?.text ?? base.text;
    const text = putRule(before, texts);
    draft.value = { base, text, line: (hunks(before, text)[0]?.at ?? 0) + 1 };
    location.hash = href("config", "file");
  });
  return (
    <Panel title="In the configuration" note="The text for the configuration file. You see the difference before it is applied."
      tools={<Act need="admin" kind="main" blocked={blocked} busy={put.busy} onClick={() => void put.start()}>Put into the file …</Act>}>
      <FormError error={put.error} />
      <pre class="expr" tabIndex={0}>{ruleToml(texts)}</pre>
    </Panel>
  );
}

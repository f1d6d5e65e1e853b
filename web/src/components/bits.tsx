/** Small parts of every view: state marks, panels, notices, choices. */
import type { ComponentChildren } from "preact";
import type { Tone } from "../format/words";

/** A shape for each tone, so that a state is visible without colour. */
const SHAPES: Record<Tone, string> = {
  good: "M5 12.5l4.5 4.5L19 7.5",
  warn: "M12 5v9M12 18v.5",
  bad: "M6.5 6.5l11 11M17.5 6.5l-11 11",
  idle: "M6 12h12",
};

export function ToneIcon({ tone, size = 18 }: { tone: Tone; size?: number }) {
  return (
    <svg class={`tone tone-${tone}`} width={size} height={size} viewBox="0 0 24 24" aria-hidden="true">
      <circle cx="12" cy="12" r="12" />
      <path d={SHAPES[tone]} />
    </svg>
  );
}

export function Badge({ tone, children }: { tone: Tone; children: ComponentChildren }) {
  return (
    <span class={`badge badge-${tone}`}>
      <ToneIcon tone={tone} size={14} />
      {children}
    </span>
  );
}

export interface PanelProps {
  title: string;
  /** The state, beside the title. */
  badge?: ComponentChildren;
  /** Buttons at the end of the title's line. */
  tools?: ComponentChildren;
  /** A description in one line. */
  note?: ComponentChildren | undefined;
  /** Whether it spans both columns of a grid. */
  wide?: boolean | undefined;
  children: ComponentChildren;
}

export function Panel({ title, badge, tools, note, wide, children }: PanelProps) {
  return (
    <section class={wide ? "panel wide" : "panel"} aria-label={title}>
      <header class="panel-head">
        <h2>{title}</h2>
        {badge}
        {tools && <div class="tools">{tools}</div>}
      </header>
      {note && <p class="note">{note}</p>}
      {children}
    </section>
  );
}

/** The message when there is nothing to show. */
export function Empty({ children }: { children: ComponentChildren }) {
  return <p class="empty">{children}</p>;
}

export function Loading({ what }: { what: string }) {
  return (
    <p class="loading" role="status">
      <span class="spinner" aria-hidden="true" /> Reading {what} …
    </p>
  );
}

export function Failure({ error, retry, what }: { error: Error; retry: () => void; what: string }) {
  return (
    <div class="failure" role="alert">
      <ToneIcon tone="bad" />
      <p><strong>{what} cannot be shown.</strong> {error.message}</p>
      <button type="button" onClick={retry}>Try again</button>
    </div>
  );
}

/** A choice of one option, as a row of buttons. */
export function Choice({ label, options, value, onChange }: {
  label: string;
  options: readonly { value: string; text: string }[];
  value: string;
  onChange: (value: string) => void;
}) {
  return (
    <div class="choice" role="group" aria-label={label}>
      {options.map((option) => (
        <button key={option.value} type="button" aria-pressed={option.value === value} onClick={() => onChange(option.value)}>
          {option.text}
        </button>
      ))}
    </div>
  );
}

export function Select({ label, options, value, onChange }: {
  label: string;
  options: readonly { value: string; text: string }[];
  value: string;
  onChange: (value: string) => void;
}) {
  return (
    <label class="select">
      <span>{label}</span>
      <select value={value} onChange={(event) => onChange(event.currentTarget.value)}>
        {options.map((option) => <option key={option.value} value={option.value}>{option.text}</option>)}
      </select>
    </label>
  );
}

/** Terms with their values. */
export function Facts({ facts }: { facts: readonly (readonly [string, ComponentChildren, string?])[] }) {
  return (
    <dl class="facts">
      {facts.map(([term, value, hint]) => (
        <div key={term}>
          <dt title={hint}>{term}</dt>
          <dd>{value}</dd>
        </div>
      ))}
    </dl>
  );
}

/** Downloads of a chart. */
export function Downloads({ png, csv, of }: { png?: () => void; csv?: () => void; of: string }) {
  return (
    <>
      {png && <button type="button" class="small" onClick={png} aria-label={`Download ${of} as PNG`}>PNG</button>}
      {csv && <button type="button" class="small" onClick={csv} aria-label={`Download ${of} as CSV`}>CSV</button>}
    </>
  );
}

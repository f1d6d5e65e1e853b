/** Fields of a form, each with its label, help and fault. */
import { useId } from "preact/hooks";
import type { ComponentChildren } from "preact";
import { ToneIcon } from "./bits";

export interface FieldProps {
  label: string;
  help?: ComponentChildren;
  fault?: string | null | undefined;
  value: string;
  onInput: (value: string) => void;
  placeholder?: string | undefined;
  required?: boolean;
  mono?: boolean;
  /** With more than one line it is a text area. */
  lines?: number;
  /** Whether the input is hidden. */
  secret?: boolean;
  autofocus?: boolean;
  autocomplete?: string;
}

export function Field(props: FieldProps) {
  const id = useId();
  const { label, help, fault, value, onInput, lines = 1 } = props;
  const typed = (event: { currentTarget: { value: string } }): void => onInput(event.currentTarget.value);
  const shared = {
    id,
    value,
    class: props.mono ? "mono" : undefined,
    placeholder: props.placeholder,
    required: props.required,
    autofocus: props.autofocus,
    autocomplete: props.autocomplete ?? "off",
    spellcheck: props.mono ? false : undefined,
    "aria-invalid": fault ? true : undefined,
    "aria-describedby": `${id}-help ${id}-fault`,
  };
  return (
    <div class={fault ? "field field-bad" : "field"}>
      <label for={id}>{label}{props.required && <span class="muted"> (needed)</span>}</label>
      {lines > 1
        ? <textarea {...shared} rows={lines} onInput={typed} />
        : props.secret ? <input {...shared} type="password" onInput={typed} /> : <input {...shared} type="text" onInput={typed} />}
      <p class="field-help" id={`${id}-help`}>{help}</p>
      <p class="field-fault" id={`${id}-fault`} aria-live="polite">{fault && <><ToneIcon tone="bad" size={13} /> {fault}</>}</p>
    </div>
  );
}

export function ChoiceField({ label, help, value, options, onChange }: {
  label: string;
  help?: ComponentChildren;
  value: string;
  options: readonly { value: string; text: string }[];
  onChange: (value: string) => void;
}) {
  const id = useId();
  return (
    <div class="field">
      <label for={id}>{label}</label>
      <select id={id} value={value} aria-describedby={`${id}-help`} onChange={(event) => onChange(event.currentTarget.value)}>
        {options.map((option) => <option key={option.value} value={option.value}>{option.text}</option>)}
      </select>
      <p class="field-help" id={`${id}-help`}>{help}</p>
    </div>
  );
}

/** The error of the last attempt, above the buttons of a form. */
export function FormError({ error }: { error: Error | null }) {
  if (!error) return null;
  return <p class="form-error" role="alert"><ToneIcon tone="bad" size={16} /> <span>{error.message}</span></p>;
}

/** A native text area with line numbers, where each line can show a fault. */
import { useEffect, useRef } from "preact/hooks";
import type { Fault } from "../../api/types";
import { ToneIcon } from "../../components/bits";

export interface EditorProps {
  text: string;
  faults: readonly Fault[];
  readOnly: boolean;
  /** The first line to show, counted from 1. */
  first: number | undefined;
  onInput: (text: string) => void;
  /** The line of the caret, counted from 0. */
  onLine: (line: number) => void;
}

/** The height of a line in the style sheet, in em. */
const LINE_EM = 1.5;
const LEAST_LINES = 12;

export function Editor({ text, faults, readOnly, first, onInput, onLine }: EditorProps) {
  const area = useRef<HTMLTextAreaElement>(null);
  const lines = Math.max(LEAST_LINES, text.split("\n").length + 1);
  const bad = new Map(faults.filter((fault) => fault.line !== null).map((fault) => [fault.line, fault]));
  const tellLine = (): void => {
    const box = area.current;
    if (box) onLine(box.value.slice(0, box.selectionStart).split("\n").length - 1);
  };
  const go = (line: number): void => {
    const box = area.current;
    if (!box) return;
    const start = box.value.split("\n").slice(0, line - 1).join("\n").length + (line > 1 ? 1 : 0);
    box.focus();
    box.setSelectionRange(start, start);
    box.parentElement?.scrollTo({ top: (line - 4) * LINE_EM * Number.parseFloat(getComputedStyle(box).fontSize) });
    tellLine();
  };
  useEffect(() => {
    if (first === undefined) return;
    go(first);
    area.current?.parentElement?.scrollIntoView({ block: "nearest" });
  }, [first]);
  return (
    <>
      <div class="editor">
        <pre class="gutter" aria-hidden="true">
          {Array.from({ length: lines }, (_, index) => (
            <span key={index} class={bad.has(index + 1) ? "bad-line" : undefined}>{index + 1}</span>
          ))}
        </pre>
        <textarea ref={area} value={text} rows={lines} wrap="off" spellcheck={false} autocomplete="off" autocapitalize="off"
          readOnly={readOnly} aria-label="The configuration file" aria-invalid={faults.length > 0 ? true : undefined}
          aria-describedby="editor-faults" onInput={(event) => { onInput(event.currentTarget.value); tellLine(); }}
          onClick={tellLine} onKeyUp={tellLine} />
        {[...bad].map(([line, fault]) => (
          <p key={line} class="line-fault" aria-hidden="true" style={{ top: `${((line ?? 1) - 1) * LINE_EM}em` }} title={fault.message}>{fault.message}</p>
        ))}
      </div>
      <Faults faults={faults} go={go} />
    </>
  );
}

function Faults({ faults, go }: { faults: readonly Fault[]; go: (line: number) => void }) {
  return (
    <ul class="faults" id="editor-faults" aria-live="polite" aria-label="Faults">
      {faults.map((fault) => (
        <li key={`${fault.path} ${fault.line} ${fault.message}`}>
          <ToneIcon tone="bad" size={14} />
          {fault.line !== null && <button type="button" class="link" onClick={() => go(fault.line ?? 1)}>line {fault.line}</button>}
          <span>{fault.path && <code>{fault.path}</code>} {fault.message}</span>
        </li>
      ))}
    </ul>
  );
}

/** A modal dialog: the native element, which keeps the focus inside and restores it when closed. */
import { useEffect, useId, useRef } from "preact/hooks";
import type { ComponentChildren } from "preact";

export function Dialog({ title, wide, onClose, children }: {
  title: string;
  /** Whether it is wide, for a form with two columns or a diff. */
  wide?: boolean;
  /** The user wants to close it, also with Escape. The owner removes it. */
  onClose: () => void;
  children: ComponentChildren;
}) {
  const box = useRef<HTMLDialogElement>(null);
  const label = useId();
  useEffect(() => {
    const dialog = box.current;
    dialog?.showModal();
    return () => dialog?.close();
  }, []);
  return (
    <dialog ref={box} class={wide ? "dialog dialog-wide" : "dialog"} aria-labelledby={label}
      onCancel={(event) => { event.preventDefault(); onClose(); }}>
      <header class="dialog-head">
        <h2 id={label}>{title}</h2>
        <button type="button" class="small" aria-label="Close" onClick={onClose}>✕</button>
      </header>
      {children}
    </dialog>
  );
}

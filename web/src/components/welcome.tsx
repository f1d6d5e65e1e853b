/** The token that a new administrator must keep. Shown once, after the one-time link of the first start. */
import { useRef, useState } from "preact/hooks";
import { welcome } from "../state/setup";
import { Dialog } from "./dialog";

export function WelcomeDialog() {
  const done = welcome.value;
  const box = useRef<HTMLInputElement>(null);
  const [copied, setCopied] = useState(false);
  if (!done) return null;
  const close = (): void => { welcome.value = null; };
  const copy = async (): Promise<void> => {
    box.current?.select();
    // Browsers provide the clipboard on secure pages only; the user can copy the selection by hand.
    await navigator.clipboard?.writeText(done.token).then(() => setCopied(true), () => undefined);
  };
  return (
    <Dialog title="You are the administrator" onClose={close}>
      <p class="sentence">Keep this token, for instance in your password manager. You need it to sign in again: after 12 hours without use, after a restart, or in another browser.</p>
      <div class="token-line">
        <input ref={box} class="mono" type="text" readOnly aria-label="Your token" value={done.token} onFocus={(event) => event.currentTarget.select()} />
        <button type="button" autofocus onClick={() => void copy()}>{copied ? "Copied" : "Copy"}</button>
      </div>
      <p class="note">Only its hash is kept, in <code>{done.file}</code>. If you lose it, delete the section <code>[[http.tokens]]</code> there and restart: a new link is printed.</p>
      <div class="form-buttons"><button type="button" class="act-main" onClick={close}>I have kept it</button></div>
    </Dialog>
  );
}

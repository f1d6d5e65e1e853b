/** The form for a token: in a dialog if an action needs it, instead of the page if reading needs it. */
import { useState } from "preact/hooks";
import { useAction } from "../state/action";
import { tell } from "../state/notices";
import { mayRead, session, signIn, signInAsked, signOut } from "../state/session";
import { Dialog } from "./dialog";
import { Field, FormError } from "./fields";

function TokenForm({ onDone }: { onDone: () => void }) {
  const [token, setToken] = useState("");
  const present = useAction(async (text: string) => signIn(text));
  const submit = async (): Promise<void> => {
    if (!(await present.start(token.trim()))) return;
    const now = session.value;
    tell(now?.role ? `Signed in as ${now.name ?? "somebody"}, with the role “${now.role}”.` : "Signed in.");
    onDone();
  };
  return (
    <form class="form" onSubmit={(event) => { event.preventDefault(); void submit(); }}>
      <Field label="Token" secret value={token} onInput={setToken} required autofocus mono autocomplete="current-password"
        help={<>Paste an access token; its SHA-256 must be listed in <code>[[http.tokens]]</code> in the configuration. It is kept in a cookie that scripts cannot read.</>} />
      <FormError error={present.error} />
      <div class="form-buttons">
        <button type="submit" class="act-main" disabled={present.busy || token.trim() === ""}>{present.busy ? "Signing in …" : "Sign in"}</button>
      </div>
    </form>
  );
}

/** The dialog, shown while an action asks for a token. */
export function SignInDialog() {
  const reason = signInAsked.value;
  if (reason === null) return null;
  const close = (): void => { signInAsked.value = null; };
  return (
    <Dialog title="Sign in" onClose={close}>
      {reason && <p class="sentence">{reason}</p>}
      <TokenForm onDone={close} />
    </Dialog>
  );
}

/** Shown instead of all views if reading needs a token. */
export function Gate() {
  return (
    <section class="panel gate" aria-label="Sign in">
      <h1>Sign in to see this monitor</h1>
      <TokenForm onDone={() => undefined} />
    </section>
  );
}

/** The signed-in user, with the buttons to sign in and out. */
export function Who() {
  const now = session.value;
  const leave = useAction(async () => {
    await signOut();
    tell("Signed out.");
  });
  if (!now) return null;
  if (!now.authenticated) {
    // The gate already asks for a token.
    return !mayRead.value ? null : <button type="button" class="small" onClick={() => { signInAsked.value = ""; }}>Sign in</button>;
  }
  return (
    <span class="who">
      <span title={`Role: ${now.role ?? "none"}`}>{now.name} <span class="muted">({now.role})</span></span>
      <button type="button" class="small" onClick={() => void leave.start()}>Sign out</button>
    </span>
  );
}

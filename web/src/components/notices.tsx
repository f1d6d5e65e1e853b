/** Notices about the last actions. */
import { dismiss, notices } from "../state/notices";
import { ToneIcon } from "./bits";

export function Notices() {
  return (
    <div class="notices" role="status">
      {notices.value.map((notice) => (
        <p key={notice.id} class={`notice notice-${notice.tone}`}>
          <ToneIcon tone={notice.tone} size={16} /> <span>{notice.text}</span>
          <button type="button" class="small" aria-label="Dismiss" onClick={() => dismiss(notice.id)}>✕</button>
        </p>
      ))}
    </div>
  );
}

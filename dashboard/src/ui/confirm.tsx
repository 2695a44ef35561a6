import type { ReactNode } from "react";
import { Dialog, messageOf } from "./parts";
import { toast } from "./toast";

// Asks before something ends for good. What goes wrong is told where it can be seen: not below the dialog.
export function Confirm({
  title,
  open,
  close,
  yes,
  disabled = false,
  run,
  children,
}: {
  title: string;
  open: boolean;
  close: () => void;
  yes: string;
  disabled?: boolean;
  run: () => Promise<void>;
  children: ReactNode;
}) {
  return (
    <Dialog title={title} open={open} close={close}>
      {children}
      <div className="dialog-foot">
        <button type="button" className="button" onClick={close}>
          Keep it
        </button>
        <button
          type="button"
          className="button danger"
          disabled={disabled}
          onClick={() => {
            run()
              .catch((error) => toast(messageOf(error), true))
              .finally(close);
          }}
        >
          {yes}
        </button>
      </div>
    </Dialog>
  );
}

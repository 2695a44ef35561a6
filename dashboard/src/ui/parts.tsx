// Small parts that every page uses.
import { type ReactNode, useEffect, useId, useRef, useState } from "react";
import { ApiError, Unreachable } from "../api/client";

export function Status({ status, label }: { status: string | null | undefined; label?: boolean }) {
  const kind = statusKind(status);
  const text = status || "unset";
  return (
    <span className={`status ${kind}`} title={text}>
      <StatusSign kind={kind} />
      {label === false ? <span className="hidden-text">{text}</span> : <span className="cut">{text}</span>}
    </span>
  );
}

export type StatusKind = "ok" | "error" | "running" | "unset";

export function statusKind(status: string | null | undefined): StatusKind {
  switch (status?.toLowerCase()) {
    case "ok":
    case "success":
    case "completed":
      return "ok";
    case "error":
    case "failed":
    case "failure":
      return "error";
    case "running":
    case "pending":
    case "in_progress":
      return "running";
    default:
      return "unset";
  }
}

// Distinct by shape, not by colour alone.
export function StatusSign({ kind }: { kind: StatusKind }) {
  return (
    <svg width="12" height="12" viewBox="0 0 12 12" aria-hidden="true" fill="none" stroke="currentColor">
      {kind === "ok" && <path d="M2 6.5 5 9.5 10 3" strokeWidth="2" />}
      {kind === "error" && <path d="M2.5 2.5l7 7M9.5 2.5l-7 7" strokeWidth="2" />}
      {kind === "running" && <path d="M6 1.5a4.5 4.5 0 1 1-4.5 4.5" strokeWidth="2" />}
      {kind === "unset" && <circle cx="6" cy="6" r="3.5" strokeWidth="1.5" />}
    </svg>
  );
}

export function messageOf(error: unknown): string {
  if (error instanceof ApiError) {
    return error.problem.message;
  }
  if (error instanceof Unreachable) {
    return error.message;
  }
  return error instanceof Error ? error.message : "Something went wrong.";
}

export function Failure({ error, retry }: { error: unknown; retry?: () => void }) {
  const problem = error instanceof ApiError ? error.problem : null;
  const title =
    problem === null
      ? "Not loaded"
      : error instanceof ApiError && error.status === 404
        ? "Not there"
        : error instanceof ApiError && error.status === 403
          ? "Not allowed"
          : "Not loaded";
  return (
    <div className="empty" role="alert">
      <h2>{title}</h2>
      <p>{sentence(messageOf(error))}</p>
      {problem?.request_id && <p className="mono">request {problem.request_id}</p>}
      {retry && (
        <button type="button" className="button" onClick={retry}>
          Try again
        </button>
      )}
    </div>
  );
}

export function sentence(text: string): string {
  const first = text.charAt(0).toUpperCase() + text.slice(1);
  return /[.!?]$/.test(first) ? first : `${first}.`;
}

export function Empty({ title, children }: { title: string; children?: ReactNode }) {
  return (
    <div className="empty">
      <h2>{title}</h2>
      {children}
    </div>
  );
}

// Grey lines where content will be: nothing moves when it comes.
export function Ghosts({ lines = 6, height = 16 }: { lines?: number; height?: number }) {
  return (
    <div className="stack" aria-busy="true" role="status">
      <span className="hidden-text">Loading</span>
      {Array.from({ length: lines }, (_, i) => (
        <div key={i} className="ghost" style={{ height, width: `${92 - ((i * 17) % 40)}%` }} />
      ))}
    </div>
  );
}

export function Waiting() {
  return (
    <div className="waiting">
      <Ghosts />
    </div>
  );
}

export function Dialog({
  title,
  open,
  close,
  wide,
  children,
}: {
  title: string;
  open: boolean;
  close: () => void;
  wide?: boolean;
  children: ReactNode;
}) {
  const dialog = useRef<HTMLDialogElement>(null);
  const id = useId();
  useEffect(() => {
    const element = dialog.current;
    if (open && element && !element.open) {
      element.showModal();
    } else if (!open && element?.open) {
      element.close();
    }
  }, [open]);
  return (
    // Escape closes it; the click is on the backdrop
    <dialog
      ref={dialog}
      className={`dialog ${wide ? "wide" : ""}`}
      aria-labelledby={id}
      onClose={close}
      onClick={(event) => event.target === dialog.current && close()}
    >
      {open && (
        <>
          <div className="dialog-head">
            <h2 id={id}>{title}</h2>
            <button type="button" className="button plain icon" aria-label="Close" onClick={close}>
              <Icon name="close" />
            </button>
          </div>
          <div className="dialog-body">{children}</div>
        </>
      )}
    </dialog>
  );
}

// A button that opens what is below it. The browser closes it on Escape and on a click elsewhere.
export function Menu({
  label,
  title,
  className = "button",
  onOpen,
  children,
}: {
  label: ReactNode;
  title?: string;
  className?: string;
  onOpen?: () => void;
  children: (close: () => void) => ReactNode;
}) {
  const id = useId();
  const button = useRef<HTMLButtonElement>(null);
  const panel = useRef<HTMLDivElement>(null);
  const [isOpen, setOpen] = useState(false);
  const place = () => {
    const at = button.current?.getBoundingClientRect();
    const element = panel.current;
    if (!at || !element) {
      return;
    }
    const width = element.offsetWidth;
    const height = element.offsetHeight;
    const left = Math.max(8, Math.min(at.left, window.innerWidth - width - 8));
    const below = at.bottom + 4;
    const top = below + height > window.innerHeight - 8 ? Math.max(8, at.top - height - 4) : below;
    element.style.left = `${left}px`;
    element.style.top = `${top}px`;
  };
  const close = () => {
    panel.current?.hidePopover();
    button.current?.focus();
  };
  return (
    <>
      <button
        ref={button}
        type="button"
        className={className}
        aria-label={title}
        title={title}
        aria-expanded={isOpen}
        aria-haspopup="true"
        popoverTarget={id}
      >
        {label}
      </button>
      {/* moves between the buttons in it */}
      <div
        ref={panel}
        id={id}
        popover="auto"
        className="menu"
        onToggle={(event) => {
          const opened = event.newState === "open";
          setOpen(opened);
          if (opened) {
            onOpen?.();
            requestAnimationFrame(() => {
              place();
              panel.current?.querySelector<HTMLElement>("button, a, input, select")?.focus();
            });
          }
        }}
        onKeyDown={(event) => {
          const step = event.key === "ArrowDown" ? 1 : event.key === "ArrowUp" ? -1 : 0;
          if (step === 0 || !panel.current) {
            return;
          }
          event.preventDefault();
          const all = [...panel.current.querySelectorAll<HTMLElement>("button, a, input, select")];
          const at = all.indexOf(document.activeElement as HTMLElement);
          all[(at + step + all.length) % all.length]?.focus();
        }}
      >
        {isOpen && children(close)}
      </div>
    </>
  );
}

const ICONS: Record<string, string> = {
  traces: "M2 3.5h12M4 8h8M7 12.5h5",
  threads: "M2 3h12v8H8l-3 3v-3H2z",
  users: "M8 8a3 3 0 1 0 0-6 3 3 0 0 0 0 6zM2.5 14c.6-3 2.8-4 5.5-4s4.9 1 5.5 4",
  charts: "M2 2v12h12M5 10l3-4 2 2 3-5",
  logs: "M2 3h1M5.500 3H14M2 6.300h1M5.500 6.300H12M2 9.700h1M5.500 9.700H14M2 13h1M5.500 13H11",
  metrics: "M2 13.500h12M3.500 13V9M7 13V5M10.500 13V7.500M14 13V3",
  review: "M2 8.5 6 12.5 14 3.5",
  paths: "M2 3h3v3H2zM2 10h3v3H2zM11 6.5h3v3h-3zM5 4.5c4 0 3 3 6 3M5 11.5c4 0 3-3 6-3",
  settings: "M2 4h7M12 4h2M2 8h2M7 8h7M2 12h7M12 12h2M9 2.500v3M4.5 6.500v3M9.5 10.500v3",
  search: "M7 12A5 5 0 1 0 7 2a5 5 0 0 0 0 10zM11 11l3.5 3.5",
  close: "M3 3l10 10M13 3 3 13",
  down: "M4 6l4 4 4-4",
  right: "M6 4l4 4-4 4",
  left: "M10 4 6 8l4 4",
  up: "M4 10l4-4 4 4",
  copy: "M5 5V2h9v9h-3M2 5h9v9H2z",
  link: "M7 9l5-5M9 3h4v4M11 10v3H3V5h3",
  plus: "M8 3v10M3 8h10",
  minus: "M3 8h10",
  menu: "M2 4h12M2 8h12M2 12h12",
  columns: "M2 3h12v10H2zM6 3v10M10 3v10",
  filter: "M2 3h12L9.5 8.500V13l-3 1V8.500z",
  live: "M8 8h0M5 5a4.2 4.2 0 0 0 0 6M11 5a4.2 4.2 0 0 1 0 6M3 3a7 7 0 0 0 0 10M13 3a7 7 0 0 1 0 10",
  save: "M3 2h10v12l-5-3-5 3z",
  trash: "M3 4h10M6 4V2h4v2M4.5 4l.5 10h6l.5-10",
  compare: "M6 2v12M10 2v12M2 5h4M10 5h4M2 10h4M10 10h4",
  help: "M6 6a2 2 0 1 1 3 1.800c-.7.4-1 .800-1 1.700M8 12.500h0M8 15A7 7 0 1 0 8 1a7 7 0 0 0 0 14z",
  person: "M8 8a3 3 0 1 0 0-6 3 3 0 0 0 0 6zM2.5 14c.6-3 2.8-4 5.5-4s4.9 1 5.5 4",
  more: "M3 8h0M8 8h0M13 8h0",
  file: "M4 2h5l3 3v9H4zM9 2v3h3",
  refresh: "M13 8a5 5 0 1 1-1.5-3.500L13 6M13 2v4H9",
};

export function Icon({ name }: { name: string }) {
  return (
    <svg
      width="16"
      height="16"
      viewBox="0 0 16 16"
      fill="none"
      stroke="currentColor"
      strokeWidth="1.6"
      strokeLinecap="round"
      strokeLinejoin="round"
      aria-hidden="true"
    >
      <path d={ICONS[name] ?? ""} />
    </svg>
  );
}

export function CopyButton({ text, label = "Copy" }: { text: string; label?: string }) {
  const [isDone, setDone] = useState(false);
  return (
    <button
      type="button"
      className="button plain icon small"
      aria-label={isDone ? "Copied" : label}
      title={isDone ? "Copied" : label}
      onClick={async () => {
        await copyText(text);
        setDone(true);
        setTimeout(() => setDone(false), 1500);
      }}
    >
      <Icon name={isDone ? "review" : "copy"} />
    </button>
  );
}

export async function copyText(text: string) {
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    // No clipboard without TLS: what is selected can be copied by hand.
    const area = document.createElement("textarea");
    area.value = text;
    document.body.append(area);
    area.select();
    document.execCommand("copy");
    area.remove();
  }
}

export function Code({ text }: { text: string }) {
  return (
    <div className="code" tabIndex={0}>
      <pre>{text}</pre>
      <CopyButton text={text} />
    </div>
  );
}

export function Field({
  label,
  hint,
  wrong,
  children,
}: {
  label: string;
  hint?: ReactNode;
  wrong?: string | null;
  children: (props: {
    id: string;
    "aria-invalid": boolean;
    "aria-describedby": string | undefined;
  }) => ReactNode;
}) {
  const id = useId();
  const about = hint || wrong ? `${id}-about` : undefined;
  return (
    <div className="field">
      <label htmlFor={id}>{label}</label>
      {children({ id, "aria-invalid": Boolean(wrong), "aria-describedby": about })}
      {(hint || wrong) && (
        <span id={about} className={wrong ? "wrong" : "hint"} role={wrong ? "alert" : undefined}>
          {wrong ? sentence(wrong) : hint}
        </span>
      )}
    </div>
  );
}

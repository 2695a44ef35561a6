// Anything by name: pages, projects, colours, and a trace by its id or by a word in it.
import { useEffect, useId, useRef, useState } from "react";
import { useLocation } from "wouter";
import { setPrefs } from "../state/prefs";
import { Icon } from "../ui/parts";
import { useProjects } from "./projects";
import { PLACES } from "./shell";

interface Choice {
  name: string;
  kind: string;
  icon: string;
  run: () => void;
}

export function Palette({
  open,
  close,
  project,
}: {
  open: boolean;
  close: () => void;
  project: string | null;
}) {
  const dialog = useRef<HTMLDialogElement>(null);
  useEffect(() => {
    if (open) {
      dialog.current?.showModal();
    } else {
      dialog.current?.close();
    }
  }, [open]);
  return (
    // Escape closes it; the click is on the backdrop
    <dialog
      ref={dialog}
      className="dialog palette"
      aria-label="Go to"
      onClose={close}
      onClick={(event) => event.target === dialog.current && close()}
    >
      {open && <Finder close={close} project={project} />}
    </dialog>
  );
}

function Finder({ close, project }: { close: () => void; project: string | null }) {
  const [text, setText] = useState("");
  const [at, setAt] = useState(0);
  const [, navigate] = useLocation();
  const projects = useProjects().data ?? [];
  const id = useId();
  const go = (to: string) => () => navigate(to);
  const all: Choice[] = [
    ...(project
      ? PLACES.map((place) => ({
          name: place.name,
          kind: "Page",
          icon: place.icon,
          run: go(`/p/${project}/${place.path}`),
        }))
      : []),
    ...(project
      ? [
          {
            name: "Errors of the last day",
            kind: "Search",
            icon: "filter",
            run: go(`/p/${project}/traces?q=status%3Aerror&from=-1d`),
          },
          { name: "Compare sets of traces", kind: "Page", icon: "compare", run: go(`/p/${project}/compare`) },
          { name: "Send the first trace", kind: "Page", icon: "plus", run: go(`/p/${project}/start`) },
        ]
      : []),
    ...projects.map((one) => ({
      name: one.name,
      kind: "Project",
      icon: "traces",
      run: go(`/p/${one.id}/traces`),
    })),
    { name: "Account", kind: "Page", icon: "person", run: go("/account") },
    { name: "Dark colours", kind: "Action", icon: "settings", run: () => setPrefs({ theme: "dark" }) },
    { name: "Light colours", kind: "Action", icon: "settings", run: () => setPrefs({ theme: "light" }) },
  ];
  const words = text.toLowerCase().split(/\s+/).filter(Boolean);
  const found = all.filter((one) => {
    const name = `${one.name} ${one.kind}`.toLowerCase();
    return words.every((word) => name.includes(word));
  });
  const typed = text.trim();
  if (project && typed) {
    found.push({
      name: `Open the trace ${typed}`,
      kind: "Trace",
      icon: "right",
      run: go(`/p/${project}/traces/${encodeURIComponent(typed)}`),
    });
    found.push({
      name: `Search traces for ${typed}`,
      kind: "Search",
      icon: "search",
      run: go(`/p/${project}/traces?q=${encodeURIComponent(typed)}`),
    });
  }
  const chosen = Math.min(at, found.length - 1);
  const run = (choice: Choice | undefined) => {
    if (choice) {
      close();
      choice.run();
    }
  };
  return (
    <>
      <input
        className="palette-input"
        placeholder="A page, a project, a trace…"
        role="combobox"
        aria-expanded="true"
        aria-controls={id}
        aria-activedescendant={found.length > 0 ? `${id}-${chosen}` : undefined}
        aria-label="Go to"
        value={text}
        autoFocus
        onChange={(event) => {
          setText(event.target.value);
          setAt(0);
        }}
        onKeyDown={(event) => {
          if (event.key === "ArrowDown" || event.key === "ArrowUp") {
            event.preventDefault();
            const step = event.key === "ArrowDown" ? 1 : -1;
            setAt((chosen + step + found.length) % Math.max(1, found.length));
          } else if (event.key === "Enter") {
            event.preventDefault();
            run(found[chosen]);
          }
        }}
      />
      <div id={id} role="listbox" aria-label="Places" className="palette-list">
        {found.map((choice, place) => (
          // the input above has the keys
          <div
            key={`${choice.kind} ${choice.name}`}
            id={`${id}-${place}`}
            role="option"
            tabIndex={-1}
            aria-selected={place === chosen}
            className="menu-item"
            onClick={() => run(choice)}
            onMouseMove={() => setAt(place)}
          >
            <Icon name={choice.icon} />
            <span className="grow cut">{choice.name}</span>
            <span className="soft">{choice.kind}</span>
          </div>
        ))}
      </div>
    </>
  );
}

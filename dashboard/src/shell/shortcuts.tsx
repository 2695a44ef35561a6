import { useAllShortcuts } from "../ui/keys";
import { Dialog } from "../ui/parts";

const FIXED = [
  { keys: "Ctrl K", does: "Go to a page, a project, a trace" },
  { keys: "Esc", does: "Close what is open" },
];

export function ShortcutList({ open, close }: { open: boolean; close: () => void }) {
  const lists = useAllShortcuts();
  const seen = new Set<string>();
  const all = [...lists].reverse().flat();
  const distinct = all.filter((shortcut) => !seen.has(shortcut.keys) && seen.add(shortcut.keys));
  return (
    <Dialog title="Keys" open={open} close={close}>
      <dl className="keys">
        {[...distinct, ...FIXED].map((shortcut) => (
          <div key={shortcut.keys}>
            <dt>
              {shortcut.keys.split(" ").map((key) => (
                <kbd key={key}>{key}</kbd>
              ))}
            </dt>
            <dd>{shortcut.does}</dd>
          </div>
        ))}
      </dl>
    </Dialog>
  );
}

import { useKeys } from "../api/queries";
import { Icon, Menu } from "../ui/parts";
import { COLUMNS, DEFAULT_COLUMNS } from "./columns";

export function ColumnMenu({
  project,
  chosen,
  onChange,
}: {
  project: string;
  chosen: string[];
  onChange: (ids: string[]) => void;
}) {
  const keys = useKeys(project).data?.keys ?? [];
  const metadata = keys.map((one) => one.key).filter((key) => key.startsWith("metadata."));
  const toggle = (id: string) => {
    const next = chosen.includes(id) ? chosen.filter((one) => one !== id) : [...chosen, id];
    // In the order of the menu, whatever was chosen when.
    const order = [...COLUMNS.map((column) => column.id), ...metadata];
    onChange(next.sort((a, b) => order.indexOf(a) - order.indexOf(b)));
  };
  const line = (id: string, name: string) => (
    <label key={id} className="menu-item">
      <input type="checkbox" checked={chosen.includes(id)} onChange={() => toggle(id)} />
      <span className="cut">{name}</span>
    </label>
  );
  return (
    <Menu
      title="Columns"
      label={
        <>
          <Icon name="columns" />
          <span className="not-narrow">Columns</span>
        </>
      }
    >
      {() => (
        <>
          {COLUMNS.map((column) => line(column.id, column.name))}
          {metadata.length > 0 && <div className="menu-label">Metadata</div>}
          {metadata.map((key) => line(key, key.slice("metadata.".length)))}
          <button type="button" className="menu-item soft" onClick={() => onChange(DEFAULT_COLUMNS)}>
            As it was at first
          </button>
        </>
      )}
    </Menu>
  );
}

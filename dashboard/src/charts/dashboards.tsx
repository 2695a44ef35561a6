// Dashboards: charts under a name, kept by the server as saved views over `dashboard`.
import { useQuery, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { del, get, part, post, put } from "../api/client";
import { at, useKeys } from "../api/queries";
import { isScore } from "../state/filter";
import { Dialog, Field, messageOf } from "../ui/parts";
import type { ChartSpec } from "./spec";
import { chartsOf, isApart, KINDS, kindOf, usualBy, whatOf, whatsOver } from "./spec";

const OVER = "dashboard";

export interface Dashboard {
  id: string;
  name: string;
  own: boolean;
  shared: boolean;
  charts: ChartSpec[];
}

interface View {
  id: number;
  name: string;
  own: boolean;
  shared: boolean;
  settings?: { charts?: unknown };
}

const body = (dashboard: Omit<Dashboard, "id" | "own">) => ({
  name: dashboard.name,
  over: OVER,
  shared: dashboard.shared,
  settings: { charts: dashboard.charts },
});

export function useDashboards(project: string) {
  const queries = useQueryClient();
  const key = ["views", project, OVER];
  const views = useQuery({
    queryKey: key,
    queryFn: ({ signal }) => get<{ data: View[] }>(at(project, "/views"), { over: OVER }, signal),
  });
  const all: Dashboard[] = (views.data?.data ?? []).map(({ id, name, own, shared, settings }) => ({
    id: String(id),
    name,
    own,
    shared,
    charts: chartsOf(settings?.charts),
  }));
  const changed = () => queries.invalidateQueries({ queryKey: key });
  return {
    all,
    isPending: views.isPending,
    add: async (name: string, charts: ChartSpec[], shared: boolean) => {
      const made = await post<{ id: number }>(at(project, "/views"), body({ name, charts, shared }));
      await changed();
      return String(made.id);
    },
    save: async (dashboard: Dashboard) => {
      await put(at(project, `/views/${part(dashboard.id)}`), body(dashboard));
      await changed();
    },
    remove: async (id: string) => {
      await del(at(project, `/views/${part(id)}`));
      await changed();
    },
  };
}

export function NameDialog({
  title,
  open,
  close,
  begin,
  mayShare,
  save,
}: {
  title: string;
  open: boolean;
  close: () => void;
  begin: { name: string; shared: boolean };
  mayShare: boolean;
  save: (name: string, shared: boolean) => Promise<void>;
}) {
  return (
    <Dialog title={title} open={open} close={close}>
      <NameForm close={close} begin={begin} mayShare={mayShare} save={save} />
    </Dialog>
  );
}

function NameForm({
  close,
  begin,
  mayShare,
  save,
}: {
  close: () => void;
  begin: { name: string; shared: boolean };
  mayShare: boolean;
  save: (name: string, shared: boolean) => Promise<void>;
}) {
  const [name, setName] = useState(begin.name);
  const [shared, setShared] = useState(begin.shared);
  const [wrong, setWrong] = useState<string | null>(null);
  return (
    <form
      className="stack"
      onSubmit={(event) => {
        event.preventDefault();
        save(name.trim(), shared).then(close, (error) => setWrong(messageOf(error)));
      }}
    >
      <Field label="Name" wrong={wrong}>
        {(props) => (
          <input
            {...props}
            className="input"
            required
            autoFocus
            value={name}
            onChange={(event) => setName(event.target.value)}
          />
        )}
      </Field>
      {mayShare && (
        <label className="row">
          <input type="checkbox" checked={shared} onChange={(event) => setShared(event.target.checked)} />
          For everybody who sees the project
        </label>
      )}
      <div className="dialog-foot">
        <button type="button" className="button" onClick={close}>
          Cancel
        </button>
        <button type="submit" className="button main" disabled={!name.trim()}>
          Save
        </button>
      </div>
    </form>
  );
}

export function ChartForm({
  project,
  begin,
  close,
  save,
}: {
  project: string;
  begin: ChartSpec;
  close: () => void;
  save: (spec: ChartSpec) => Promise<void>;
}) {
  const [spec, setSpec] = useState(begin);
  const [wrong, setWrong] = useState<string | null>(null);
  const known = useKeys(project, "", 500, spec.over ?? "traces").data?.keys ?? [];
  const keys = known.filter(({ key }) => !isScore(key));
  const what = whatOf(spec);
  const usual = usualBy(spec);
  const numbers = keys.filter(({ type }) => what.id === "distinct" || type === "int" || type === "float");
  const change = (to: Partial<ChartSpec>) => {
    const next = { ...spec, ...to };
    // What is empty is not kept.
    setSpec(Object.fromEntries(Object.entries(next).filter(([, value]) => value)) as unknown as ChartSpec);
  };
  const select = (
    label: string,
    value: string,
    onChange: (value: string) => void,
    choices: [string, string][],
  ) => (
    <Field label={label}>
      {(props) => (
        <select {...props} className="input" value={value} onChange={(event) => onChange(event.target.value)}>
          {choices.map(([one, text]) => (
            <option key={one} value={one}>
              {text}
            </option>
          ))}
        </select>
      )}
    </Field>
  );
  return (
    <form
      className="stack"
      onSubmit={(event) => {
        event.preventDefault();
        save(spec).then(close, (error) => setWrong(messageOf(error)));
      }}
    >
      {select(
        "Shows",
        spec.what,
        (value) => change({ what: value }),
        whatsOver(spec.over).map(({ id, name }) => [id, name]),
      )}
      {what.hasKey &&
        select("Key", spec.of ?? "", (value) => change({ of: value }), [
          ["", "Choose a key"],
          ...numbers.map(({ key }): [string, string] => [key, key]),
        ])}
      {select(
        "Of",
        spec.over ?? "",
        (value) => {
          const over = kindOf(value);
          const isThere = whatsOver(over).some(({ id }) => id === spec.what);
          change({ over, of: undefined, by: undefined, ...(isThere ? {} : { what: "runs" }) });
        },
        KINDS,
      )}
      {!what.isHeat &&
        select("A line for each", spec.by ?? "", (value) => change({ by: value }), [
          ["", usual ? `${usual}, as usual` : "no: one line"],
          ...keys.map(({ key }): [string, string] => [key, key]),
        ])}
      <Field
        label="Only those that pass"
        hint={isApart(spec) ? "A search of them. That of the page, which is of traces, leaves them as they are." : "A search, as in the list."}
      >
        {(props) => (
          <input
            {...props}
            className="input mono"
            value={spec.q ?? ""}
            onChange={(event) => change({ q: event.target.value })}
          />
        )}
      </Field>
      <Field label="Title" wrong={wrong}>
        {(props) => (
          <input
            {...props}
            className="input"
            placeholder={what.name}
            value={spec.title ?? ""}
            onChange={(event) => change({ title: event.target.value })}
          />
        )}
      </Field>
      <div className="dialog-foot">
        <button type="button" className="button" onClick={close}>
          Cancel
        </button>
        <button type="submit" className="button main" disabled={what.hasKey && !spec.of}>
          Save
        </button>
      </div>
    </form>
  );
}

// What one can do with the traces that were chosen.
import { useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { useLocation } from "wouter";
import { del, part, post, withQuery } from "../api/client";
import { at } from "../api/queries";
import type { Trace } from "../api/types";
import { COMPARED_MAX, idsText } from "../compare/ids";
import { can, useProject } from "../shell/projects";
import { valueText } from "../state/filter";
import { plural } from "../text/format";
import { Dialog, Field, Icon, Menu, messageOf } from "../ui/parts";
import { toast } from "../ui/toast";

// A longer address is not everybody's to take.
const EXPORTED_MAX = 100;

// One after the other: what was done is known when one fails.
async function forEach(ids: string[], act: (id: string) => Promise<unknown>): Promise<number> {
  let done = 0;
  for (const id of ids) {
    try {
      await act(id);
      done++;
    } catch (error) {
      toast(messageOf(error), true);
      break;
    }
  }
  return done;
}

export function BulkBar({
  project,
  chosen,
  clear,
}: {
  project: string;
  chosen: ReadonlyMap<string, Trace>;
  clear: () => void;
}) {
  const [, navigate] = useLocation();
  const queries = useQueryClient();
  const [asking, setAsking] = useState<"delete" | "score" | null>(null);
  const [isBusy, setBusy] = useState(false);
  const ids = [...chosen.keys()];
  const rights = useProject(project)?.rights;
  const close = () => setAsking(null);
  const act = async (what: (id: string) => Promise<unknown>, said: string) => {
    setBusy(true);
    const done = await forEach(ids, what);
    setBusy(false);
    close();
    clear();
    await queries.invalidateQueries();
    toast(`${plural(done, "trace")} ${said}`);
  };
  return (
    <div className="row bulk">
      <b className="num">{plural(chosen.size, "chosen", "chosen")}</b>
      <button
        type="button"
        className="button small"
        disabled={chosen.size < 2 || chosen.size > COMPARED_MAX}
        title={`Two to ${COMPARED_MAX} traces side by side`}
        onClick={() => navigate(`/p/${project}/compare?ids=${part(idsText(ids))}`)}
      >
        <Icon name="compare" /> Compare
      </button>
      {can(rights, "trace.write") && (
        <button type="button" className="button small" onClick={() => setAsking("score")}>
          <Icon name="review" /> Score
        </button>
      )}
      {chosen.size <= EXPORTED_MAX && <ExportMenu project={project} ids={ids} />}
      {can(rights, "trace.delete") && (
        <button type="button" className="button small danger" onClick={() => setAsking("delete")}>
          <Icon name="trash" /> Delete
        </button>
      )}
      <button type="button" className="button small plain" onClick={clear}>
        Clear
      </button>
      <Dialog title={`Delete ${plural(chosen.size, "trace")}?`} open={asking === "delete"} close={close}>
        <p>They are gone at once, with all their steps, for everybody. Nothing brings them back.</p>
        <div className="dialog-foot">
          <button type="button" className="button" onClick={close}>
            Keep them
          </button>
          <button
            type="button"
            className="button danger"
            disabled={isBusy}
            onClick={() => act((id) => del(at(project, `/traces/${part(id)}`)), "deleted")}
          >
            Delete
          </button>
        </div>
      </Dialog>
      <Dialog title={`Score ${plural(chosen.size, "trace")}`} open={asking === "score"} close={close}>
        <ScoreAll
          isBusy={isBusy}
          close={close}
          save={(name, value) =>
            act((id) => {
              const trace = chosen.get(id)?.trace_id ?? id;
              return post(at(project, "/scores"), { trace_id: trace, name, value });
            }, "scored")
          }
        />
      </Dialog>
    </div>
  );
}

function ExportMenu({ project, ids }: { project: string; ids: string[] }) {
  const q = `trace_id:(${ids.map(valueText).join(",")})`;
  return (
    <Menu label="Export" className="button small">
      {(close) =>
        (["jsonl", "csv"] as const).map((format) => (
          <a
            key={format}
            className="menu-item"
            download={`traces.${format}`}
            href={withQuery(at(project, "/export"), { q, format })}
            onClick={close}
          >
            {format === "csv" ? "As a table (CSV)" : "As JSON, one a line"}
          </a>
        ))
      }
    </Menu>
  );
}

function ScoreAll({
  isBusy,
  close,
  save,
}: {
  isBusy: boolean;
  close: () => void;
  save: (name: string, value: number | string) => void;
}) {
  const [name, setName] = useState("quality");
  const [value, setValue] = useState("");
  const isNumber = value.trim() !== "" && Number.isFinite(Number(value));
  return (
    <form
      className="stack"
      onSubmit={(event) => {
        event.preventDefault();
        save(name.trim(), isNumber ? Number(value) : value.trim());
      }}
    >
      <Field label="Score">
        {(props) => (
          <input
            {...props}
            className="input"
            required
            value={name}
            onChange={(event) => setName(event.target.value)}
          />
        )}
      </Field>
      <Field label="Value" hint="A number or a label. The same for each of them.">
        {(props) => (
          <input
            {...props}
            className="input"
            required
            value={value}
            onChange={(event) => setValue(event.target.value)}
          />
        )}
      </Field>
      <div className="dialog-foot">
        <button type="button" className="button" onClick={close}>
          Cancel
        </button>
        <button type="submit" className="button main" disabled={isBusy || !name.trim() || !value.trim()}>
          Score
        </button>
      </div>
    </form>
  );
}

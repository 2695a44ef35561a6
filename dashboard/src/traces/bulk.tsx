// What one can do with the traces that were chosen.
import { useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { useLocation } from "wouter";
import { del, part } from "../api/client";
import { at } from "../api/queries";
import type { Trace } from "../api/types";
import { can, useProject } from "../shell/projects";
import { plural } from "../text/format";
import { Dialog, Icon, messageOf } from "../ui/parts";
import { toast } from "../ui/toast";

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
  const [isAsking, setAsking] = useState(false);
  const [isBusy, setBusy] = useState(false);
  const ids = [...chosen.keys()];
  const rights = useProject(project)?.rights;
  const remove = async () => {
    setBusy(true);
    let done = 0;
    for (const id of ids) {
      try {
        await del(at(project, `/traces/${part(id)}`));
        done++;
      } catch (error) {
        toast(messageOf(error), true);
        break;
      }
    }
    setBusy(false);
    setAsking(false);
    clear();
    await queries.invalidateQueries();
    toast(`${plural(done, "trace")} deleted`);
  };
  return (
    <div className="row bulk">
      <b className="num">{plural(chosen.size, "chosen", "chosen")}</b>
      <button
        type="button"
        className="button small"
        disabled={chosen.size !== 2}
        title="Two traces, step by step"
        onClick={() => navigate(`/p/${project}/compare?a=${part(ids[0] ?? "")}&b=${part(ids[1] ?? "")}`)}
      >
        <Icon name="compare" /> Compare
      </button>
      {can(rights, "trace.delete") && (
        <button type="button" className="button small danger" onClick={() => setAsking(true)}>
          <Icon name="trash" /> Delete
        </button>
      )}
      <button type="button" className="button small plain" onClick={clear}>
        Clear
      </button>
      <Dialog
        title={`Delete ${plural(chosen.size, "trace")}?`}
        open={isAsking}
        close={() => setAsking(false)}
      >
        <p>They are gone at once, with all their steps, for everybody. Nothing brings them back.</p>
        <div className="dialog-foot">
          <button type="button" className="button" onClick={() => setAsking(false)}>
            Keep them
          </button>
          <button type="button" className="button danger" disabled={isBusy} onClick={remove}>
            Delete
          </button>
        </div>
      </Dialog>
    </div>
  );
}

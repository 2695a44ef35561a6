// Saved views: a search, its time, columns and order under a name.
import { useQuery, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { del, get, part, post, withQuery } from "../api/client";
import { at } from "../api/queries";
import { usePrefs } from "../state/prefs";
import { useParams } from "../state/url";
import { Dialog, Field, Icon, Menu, messageOf } from "../ui/parts";
import { toast } from "../ui/toast";

interface View {
  id: string | number;
  name: string;
  q?: string | null;
  columns?: string[] | null;
  sort?: string | null;
  from?: string | null;
  to?: string | null;
  shared?: boolean;
}

export function ViewMenu({ project }: { project: string }) {
  const [params, set] = useParams();
  const prefs = usePrefs();
  const queries = useQueryClient();
  const [isOpen, setOpen] = useState(false);
  const [isNaming, setNaming] = useState(false);
  const [name, setName] = useState("");
  const [wrong, setWrong] = useState<string | null>(null);
  const key = ["views", project, "traces"];
  const views = useQuery({
    queryKey: key,
    queryFn: ({ signal }) => get<{ data: View[] }>(at(project, "/views"), { over: "traces" }, signal),
    retry: false,
    enabled: isOpen,
  });
  const all = views.data?.data ?? [];
  const save = async () => {
    try {
      const columns = params.cols?.split(",") ?? prefs.columns;
      await post(at(project, "/views"), {
        name,
        over: "traces",
        q: params.q ?? "",
        ...(columns ? { columns } : {}),
        ...(params.sort ? { sort: params.sort } : {}),
        ...(params.from ? { from: params.from } : {}),
        ...(params.to ? { to: params.to } : {}),
      });
      setNaming(false);
      setName("");
      toast("View saved");
      await queries.invalidateQueries({ queryKey: key });
    } catch (error) {
      setWrong(messageOf(error));
    }
  };
  return (
    <>
      <Menu
        title="Saved views"
        onOpen={() => setOpen(true)}
        label={
          <>
            <Icon name="save" />
            <span className="not-narrow">Views</span>
          </>
        }
      >
        {(close) => (
          <>
            {all.length === 0 && (
              <div className="menu-label">
                {views.isPending ? "Loading…" : views.isError ? messageOf(views.error) : "No view is saved yet"}
              </div>
            )}
            {all.map((view) => (
              <div key={view.id} className="row">
                <button
                  type="button"
                  className="menu-item"
                  onClick={() => {
                    close();
                    set({
                      q: view.q,
                      cols: view.columns?.join(","),
                      sort: view.sort,
                      from: view.from,
                      to: view.to,
                    });
                  }}
                >
                  <span className="grow cut">{view.name}</span>
                </button>
                <button
                  type="button"
                  className="button plain icon small"
                  aria-label={`Delete the view ${view.name}`}
                  onClick={async () => {
                    await del(at(project, `/views/${part(view.id)}`)).catch((error) =>
                      toast(messageOf(error), true),
                    );
                    await queries.invalidateQueries({ queryKey: key });
                  }}
                >
                  <Icon name="trash" />
                </button>
              </div>
            ))}
            <button
              type="button"
              className="menu-item soft"
              onClick={() => {
                close();
                setWrong(null);
                setNaming(true);
              }}
            >
              <Icon name="plus" /> Save what is shown now
            </button>
            <div className="menu-label">Export what is shown now</div>
            {(["jsonl", "csv"] as const).map((format) => (
              <a
                key={format}
                className="menu-item"
                download={`traces.${format}`}
                href={withQuery(at(project, "/export"), {
                  q: params.q,
                  from: params.from,
                  to: params.to,
                  format,
                })}
                onClick={close}
              >
                {format === "csv" ? "As a table (CSV)" : "As JSON, one a line"}
              </a>
            ))}
          </>
        )}
      </Menu>
      <Dialog title="Save this view" open={isNaming} close={() => setNaming(false)}>
        <form
          className="stack"
          onSubmit={(event) => {
            event.preventDefault();
            void save();
          }}
        >
          <Field label="Name" wrong={wrong}>
            {(props) => (
              <input
                {...props}
                className="input"
                required
                value={name}
                autoFocus
                onChange={(event) => setName(event.target.value)}
              />
            )}
          </Field>
          <div className="dialog-foot">
            <button type="button" className="button" onClick={() => setNaming(false)}>
              Cancel
            </button>
            <button type="submit" className="button main" disabled={!name.trim()}>
              Save
            </button>
          </div>
        </form>
      </Dialog>
    </>
  );
}

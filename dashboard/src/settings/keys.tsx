import { useQuery, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { del, get, part, post } from "../api/client";
import type { Items, Key, KeyMade } from "../api/types";
import { can, useProject } from "../shell/projects";
import { Send } from "../start/send";
import { usePrefs } from "../state/prefs";
import { ago, fullTime } from "../text/format";
import { Confirm } from "../ui/confirm";
import { Code, Dialog, Empty, Failure, Field, Ghosts, Icon, messageOf } from "../ui/parts";
import { Table } from "../ui/table";
import { toast } from "../ui/toast";

const SCOPES: [string, string][] = [
  ["ingest", "send traces"],
  ["read", "read and search them"],
  ["admin", "delete traces, keep the project and its keys"],
];

export function KeysTab({ project }: { project: string }) {
  const { zone } = usePrefs();
  const queries = useQueryClient();
  const mayEdit = can(useProject(project)?.rights, "key.edit");
  const path = `/v1/projects/${part(project)}/keys`;
  const [isMaking, setMaking] = useState(false);
  const [made, setMade] = useState<KeyMade | null>(null);
  const [ending, setEnding] = useState<Key | null>(null);
  const [areAllShown, setAllShown] = useState(false);
  const keys = useQuery({
    queryKey: ["api-keys", project],
    queryFn: ({ signal }) => get<Items<Key>>(path, { limit: 200 }, signal),
  });
  const refresh = () => queries.invalidateQueries({ queryKey: ["api-keys", project] });
  const all = keys.data?.items ?? [];
  const shown = all.filter((key) => areAllShown || key.state === "live");
  return (
    <div className="stack">
      <div className="row wrap">
        <p className="soft grow">A key opens this project, for what it is for and nothing else.</p>
        {all.some((key) => key.state !== "live") && (
          <label className="row">
            <input type="checkbox" checked={areAllShown} onChange={() => setAllShown(!areAllShown)} />
            Ended ones, too
          </label>
        )}
        {mayEdit && (
          <button type="button" className="button main" onClick={() => setMaking(true)}>
            <Icon name="plus" /> New key
          </button>
        )}
      </div>
      {keys.isError ? (
        <Failure error={keys.error} retry={() => keys.refetch()} />
      ) : keys.isPending ? (
        <Ghosts />
      ) : shown.length === 0 ? (
        <Empty title="No key">
          <p>Whatever sends traces here needs one.</p>
        </Empty>
      ) : (
        <Table label="Keys">
          <thead>
            <tr>
              <th>Name</th>
              <th>Id</th>
              <th>For</th>
              <th>Made</th>
              <th>Last used</th>
              <th>Ends</th>
              <th>
                <span className="hidden-text">Actions</span>
              </th>
            </tr>
          </thead>
          <tbody>
            {shown.map((key) => (
              <tr key={key.id}>
                <td className="anywhere">
                  {key.name || <span className="soft">no name</span>}{" "}
                  {key.state !== "live" && <span className="chip">{key.state}</span>}
                </td>
                <td className="mono">{key.id}</td>
                <td>{key.scopes.join(", ")}</td>
                <td title={fullTime(key.created_at, zone)}>{ago(key.created_at)}</td>
                <td title={fullTime(key.last_used_at, zone)}>
                  {key.last_used_at ? ago(key.last_used_at) : "never"}
                </td>
                <td>{key.expires_at ? fullTime(key.expires_at, zone).slice(0, 10) : "never"}</td>
                <td>
                  {mayEdit && key.state === "live" && (
                    <div className="row">
                      <button
                        type="button"
                        className="button small"
                        title="A successor; this one goes on until it is revoked"
                        onClick={async () => {
                          try {
                            setMade(await post<KeyMade>(`${path}/${key.id}/rotate`, {}));
                            await refresh();
                          } catch (error) {
                            toast(messageOf(error), true);
                          }
                        }}
                      >
                        Rotate
                      </button>
                      <button type="button" className="button small danger" onClick={() => setEnding(key)}>
                        Revoke
                      </button>
                    </div>
                  )}
                </td>
              </tr>
            ))}
          </tbody>
        </Table>
      )}
      <NewKey
        path={path}
        open={isMaking}
        close={() => setMaking(false)}
        done={(key) => {
          setMaking(false);
          setMade(key);
          void refresh();
        }}
      />
      <Dialog title="The new key" open={made !== null} close={() => setMade(null)} wide>
        {made && (
          <>
            <p>Shown this once. Whoever has it can do what it is for.</p>
            <Code text={made.key} />
            <h3>How to send with it</h3>
            <Send apiKey={made.key} />
          </>
        )}
        <div className="dialog-foot">
          <button type="button" className="button main" onClick={() => setMade(null)}>
            I have it
          </button>
        </div>
      </Dialog>
      <Confirm
        title={`Revoke ${ending?.name || ending?.id}?`}
        open={ending !== null}
        close={() => setEnding(null)}
        yes="Revoke"
        run={async () => {
          await del(`${path}/${ending?.id}`);
          toast("Key revoked");
          await refresh();
        }}
      >
        <p>From now on it opens nothing, for good. What sends with it is refused.</p>
      </Confirm>
    </div>
  );
}

function NewKey({
  path,
  open,
  close,
  done,
}: {
  path: string;
  open: boolean;
  close: () => void;
  done: (key: KeyMade) => void;
}) {
  const [name, setName] = useState("");
  const [scopes, setScopes] = useState(["ingest"]);
  const [ends, setEnds] = useState("");
  const [wrong, setWrong] = useState<string | null>(null);
  return (
    <Dialog title="New key" open={open} close={close}>
      <form
        className="stack"
        onSubmit={async (event) => {
          event.preventDefault();
          setWrong(null);
          try {
            const made = await post<KeyMade>(path, {
              name,
              scopes,
              ...(ends ? { expires_at: `${ends}T00:00:00Z` } : {}),
            });
            setName("");
            done(made);
          } catch (error) {
            setWrong(messageOf(error));
          }
        }}
      >
        <Field label="Name" hint="What has it: a service, a pipeline, a laptop.">
          {(props) => (
            <input
              {...props}
              className="input"
              value={name}
              onChange={(event) => setName(event.target.value)}
            />
          )}
        </Field>
        <fieldset className="plain-set">
          <legend className="label">What it is for</legend>
          {SCOPES.map(([scope, meaning]) => (
            <label key={scope} className="row">
              <input
                type="checkbox"
                checked={scopes.includes(scope)}
                onChange={() =>
                  setScopes(
                    scopes.includes(scope) ? scopes.filter((one) => one !== scope) : [...scopes, scope],
                  )
                }
              />
              <b>{scope}</b> <span className="soft">{meaning}</span>
            </label>
          ))}
        </fieldset>
        <Field label="Ends" hint="At the start of this day, UTC. Empty: never." wrong={wrong}>
          {(props) => (
            <input
              {...props}
              className="input"
              type="date"
              value={ends}
              onChange={(event) => setEnds(event.target.value)}
            />
          )}
        </Field>
        <div className="dialog-foot">
          <button type="button" className="button" onClick={close}>
            Cancel
          </button>
          <button type="submit" className="button main" disabled={scopes.length === 0}>
            Make the key
          </button>
        </div>
      </form>
    </Dialog>
  );
}

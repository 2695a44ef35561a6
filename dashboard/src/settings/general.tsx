import { useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { useLocation } from "wouter";
import { del, part, patch } from "../api/client";
import { can, useProject } from "../shell/projects";
import { Confirm } from "../ui/confirm";
import { Field, messageOf } from "../ui/parts";
import { toast } from "../ui/toast";

export function GeneralTab({ project }: { project: string }) {
  const known = useProject(project);
  const queries = useQueryClient();
  const [, navigate] = useLocation();
  const [name, setName] = useState<string | null>(null);
  const [wrong, setWrong] = useState<string | null>(null);
  const [isAsking, setAsking] = useState(false);
  const [typed, setTyped] = useState("");
  const path = `/v1/projects/${part(project)}`;
  const mayEdit = can(known?.rights, "project.edit");
  const change = async (body: object, done: string) => {
    setWrong(null);
    try {
      await patch(path, body);
      await queries.invalidateQueries({ queryKey: ["projects"] });
      toast(done);
    } catch (error) {
      setWrong(messageOf(error));
    }
  };
  if (!known) {
    return null;
  }
  return (
    <div className="stack">
      <form
        className="card stack"
        onSubmit={(event) => {
          event.preventDefault();
          void change({ name: name ?? known.name }, "Project renamed");
        }}
      >
        <Field label="Name" hint={`Its id is ${known.id}.`} wrong={wrong}>
          {(props) => (
            <input
              {...props}
              className="input"
              disabled={!mayEdit}
              value={name ?? known.name}
              onChange={(event) => setName(event.target.value)}
            />
          )}
        </Field>
        {mayEdit && (
          <div className="dialog-foot">
            <button
              type="submit"
              className="button main"
              disabled={name === null || name === known.name || !name.trim()}
            >
              Rename
            </button>
          </div>
        )}
      </form>
      {mayEdit && (
        <section className="card row wrap">
          <div className="grow">
            <h2>{known.archived ? "Archived" : "Archive"}</h2>
            <p className="soft">An archived project takes no more data; what it has stays readable.</p>
          </div>
          <button
            type="button"
            className="button"
            onClick={() =>
              change(
                { archived: !known.archived },
                known.archived ? "Project opened again" : "Project archived",
              )
            }
          >
            {known.archived ? "Open again" : "Archive"}
          </button>
        </section>
      )}
      {can(known.rights, "project.delete") && (
        <section className="card row wrap">
          <div className="grow">
            <h2>Delete</h2>
            <p className="soft">Hidden at once, its data purged behind it. Nothing brings it back.</p>
          </div>
          <button type="button" className="button danger" onClick={() => setAsking(true)}>
            Delete the project
          </button>
        </section>
      )}
      <Confirm
        title={`Delete ${known.name}?`}
        open={isAsking}
        close={() => setAsking(false)}
        yes="Delete"
        disabled={typed !== known.name}
        run={async () => {
          await del(path);
          sessionStorage.removeItem("obsrv.project");
          await queries.invalidateQueries({ queryKey: ["projects"] });
          navigate("/");
          toast("Project deleted");
        }}
      >
        <Field label={`Write ${known.name} to delete it with all its data`}>
          {(props) => (
            <input
              {...props}
              className="input"
              value={typed}
              onChange={(event) => setTyped(event.target.value)}
            />
          )}
        </Field>
      </Confirm>
    </div>
  );
}

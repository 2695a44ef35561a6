import { useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { useLocation } from "wouter";
import { post } from "../api/client";
import { Dialog, Field, messageOf } from "../ui/parts";

export function NewProject({ org, close }: { org: number | null; close: () => void }) {
  const [name, setName] = useState("");
  const [wrong, setWrong] = useState<string | null>(null);
  const [isBusy, setBusy] = useState(false);
  const queries = useQueryClient();
  const [, navigate] = useLocation();
  return (
    <Dialog title="New project" open={org !== null} close={close}>
      <form
        className="stack"
        onSubmit={async (event) => {
          event.preventDefault();
          setBusy(true);
          setWrong(null);
          try {
            const made = await post<{ id: number }>(`/v1/orgs/${org}/projects`, { name });
            await queries.invalidateQueries({ queryKey: ["projects"] });
            setName("");
            close();
            navigate(`/p/${made.id}/start`);
          } catch (error) {
            setWrong(messageOf(error));
          }
          setBusy(false);
        }}
      >
        <Field label="Name" hint="Unique in its organization." wrong={wrong}>
          {(props) => (
            <input
              {...props}
              className="input"
              value={name}
              required
              autoFocus
              onChange={(event) => setName(event.target.value)}
            />
          )}
        </Field>
        <div className="dialog-foot">
          <button type="button" className="button" onClick={close}>
            Cancel
          </button>
          <button type="submit" className="button main" disabled={isBusy || !name.trim()}>
            Make project
          </button>
        </div>
      </form>
    </Dialog>
  );
}

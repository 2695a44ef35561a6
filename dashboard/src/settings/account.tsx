import { useQueryClient } from "@tanstack/react-query";
import { useEffect, useState } from "react";
import { post } from "../api/client";
import { signedOut } from "../api/session";
import type { Me } from "../api/types";
import { Field, messageOf } from "../ui/parts";
import { toast } from "../ui/toast";

export default function AccountPage() {
  const queries = useQueryClient();
  const me = queries.getQueryData<Me>(["me"]);
  const [typed, setTyped] = useState({ now: "", next: "" });
  const [wrong, setWrong] = useState<string | null>(null);
  useEffect(() => {
    document.title = "Account · obsrv";
  }, []);
  return (
    <div className="page">
      <h1>{me?.name}</h1>
      <p className="soft">{me?.email}</p>
      {me?.has_password && (
        <form
          className="card stack"
          onSubmit={async (event) => {
            event.preventDefault();
            setWrong(null);
            try {
              const changed = await post<Me>("/v1/auth/password", {
                current_password: typed.now,
                new_password: typed.next,
              });
              queries.setQueryData(["me"], changed);
              setTyped({ now: "", next: "" });
              toast("Password changed; your other sessions are over");
            } catch (error) {
              setWrong(messageOf(error));
            }
          }}
        >
          <h2>Password</h2>
          <Field label="The one of now">
            {(props) => (
              <input
                {...props}
                className="input"
                type="password"
                autoComplete="current-password"
                required
                value={typed.now}
                onChange={(event) => setTyped({ ...typed, now: event.target.value })}
              />
            )}
          </Field>
          <Field label="The new one" hint="At least 12 characters." wrong={wrong}>
            {(props) => (
              <input
                {...props}
                className="input"
                type="password"
                autoComplete="new-password"
                required
                value={typed.next}
                onChange={(event) => setTyped({ ...typed, next: event.target.value })}
              />
            )}
          </Field>
          <div className="dialog-foot">
            <button type="submit" className="button main">
              Change the password
            </button>
          </div>
        </form>
      )}
      <section className="card row wrap">
        <div className="grow">
          <h2>Sessions</h2>
          <p className="soft">Ends every session of yours, this one included.</p>
        </div>
        <button
          type="button"
          className="button"
          onClick={async () => {
            try {
              await post("/v1/auth/signout-everywhere");
              await signedOut(queries);
            } catch (error) {
              toast(messageOf(error), true);
            }
          }}
        >
          Sign out everywhere
        </button>
      </section>
    </div>
  );
}

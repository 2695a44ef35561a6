import { useQuery, useQueryClient } from "@tanstack/react-query";
import { type ReactNode, useState } from "react";
import { get, post } from "../api/client";
import { signedIn } from "../api/session";
import type { Me, Ways } from "../api/types";
import { Field, messageOf, sentence } from "../ui/parts";

export function Gate({ title, children }: { title: string; children: ReactNode }) {
  return (
    <main className="gate">
      <div className="gate-box">
        <div className="row gate-brand">
          <img src="/favicon.svg" alt="" width="28" height="28" />
          <span>obsrv</span>
        </div>
        <h1>{title}</h1>
        {children}
      </div>
    </main>
  );
}

export default function SignIn() {
  const ways = useQuery({
    queryKey: ["ways"],
    queryFn: ({ signal }) => get<Ways>("/v1/auth/providers", {}, signal),
  });
  if (ways.data?.needs_setup) {
    return (
      <Gate title="Nobody has set this server up yet">
        <p>
          It leaves a set-up link at each start: on its terminal, or in the file <code>setup-link</code> of
          its data directory. Whoever opens it becomes the owner.
        </p>
        <p className="soft">There is no default password.</p>
        <button type="button" className="button" onClick={() => ways.refetch()}>
          Look again
        </button>
      </Gate>
    );
  }
  return (
    <Gate title="Sign in">
      {ways.data?.providers.map((provider) => (
        <a key={provider.id} className="button" href={provider.start}>
          Continue with {provider.name}
        </a>
      ))}
      {(ways.data?.providers.length ?? 0) > 0 && <div className="or soft">or</div>}
      <PasswordForm />
    </Gate>
  );
}

function PasswordForm() {
  const queries = useQueryClient();
  const [email, setEmail] = useState("");
  const [password, setPassword] = useState("");
  const [wrong, setWrong] = useState<string | null>(null);
  const [told, setTold] = useState<string | null>(null);
  const [isBusy, setBusy] = useState(false);
  const signIn = async () => {
    setBusy(true);
    setWrong(null);
    try {
      const me = await post<Me>("/v1/auth/signin", { email, password });
      signedIn(queries, me);
    } catch (error) {
      setWrong(messageOf(error));
      setBusy(false);
    }
  };
  const forgot = async () => {
    setWrong(null);
    if (!email) {
      setWrong("write your e-mail address first");
      return;
    }
    try {
      await post("/v1/auth/reset/request", { email });
      setTold("If somebody has this address and mail is set up here, a link is on its way to them.");
    } catch (error) {
      setWrong(messageOf(error));
    }
  };
  return (
    <form
      className="stack"
      onSubmit={(event) => {
        event.preventDefault();
        void signIn();
      }}
    >
      <Field label="E-mail">
        {(props) => (
          <input
            {...props}
            className="input"
            type="email"
            autoComplete="username"
            required
            value={email}
            onChange={(event) => setEmail(event.target.value)}
          />
        )}
      </Field>
      <Field label="Password">
        {(props) => (
          <input
            {...props}
            className="input"
            type="password"
            autoComplete="current-password"
            required
            value={password}
            onChange={(event) => setPassword(event.target.value)}
          />
        )}
      </Field>
      {wrong && (
        <p className="wrong" role="alert">
          {sentence(wrong)}
        </p>
      )}
      {told && <p role="status">{told}</p>}
      <button type="submit" className="button main" disabled={isBusy}>
        {isBusy ? "Signing in…" : "Sign in"}
      </button>
      <button type="button" className="button plain" onClick={forgot}>
        Forgot the password
      </button>
    </form>
  );
}

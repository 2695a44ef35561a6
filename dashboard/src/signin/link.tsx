// Where links lead that come by mail or from an administrator. The token is in the fragment, which
// browsers send to nobody; it leaves the address as soon as it is read.
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { useEffect, useState } from "react";
import { useLocation } from "wouter";
import { ApiError, post } from "../api/client";
import { signedIn } from "../api/session";
import type { Me } from "../api/types";
import { Field, messageOf, sentence } from "../ui/parts";
import { Gate } from "./signin";

type Purpose = "setup" | "reset" | "verify" | "join";

const TITLES: Record<Purpose, string> = {
  setup: "Set this server up",
  reset: "Choose a new password",
  verify: "Confirm your address",
  join: "Join",
};
const BUTTONS: Record<Purpose, string> = {
  setup: "Become the owner",
  reset: "Save the password",
  verify: "Confirm",
  join: "Join",
};

const PASSWORD_MIN = 12;

function takeToken(): string {
  const token = new URLSearchParams(window.location.hash.slice(1)).get("token") ?? "";
  if (token) {
    window.history.replaceState(null, "", window.location.pathname);
  }
  return token;
}

let taken = "";

export default function LinkPage({ purpose }: { purpose: Purpose }) {
  const [token] = useState(() => {
    taken = takeToken() || taken;
    return taken;
  });
  const [typed, setTyped] = useState({ token: "", email: "", name: "", password: "" });
  const queries = useQueryClient();
  const [, navigate] = useLocation();
  const wantsName = purpose === "setup" || purpose === "join";
  const send = useMutation({
    mutationFn: async () => {
      const used = token || typed.token.trim();
      const body: Record<string, string> = { token: used };
      if (purpose === "setup") {
        body.email = typed.email;
      }
      if (wantsName) {
        body.name = typed.name;
      }
      if (purpose !== "verify") {
        body.password = typed.password;
      }
      return post<Me | undefined>(`/v1/auth/${purpose}`, body);
    },
    onSuccess: (me) => {
      taken = "";
      if (me) {
        signedIn(queries, me);
      }
      navigate("/", { replace: true });
    },
  });
  const field = send.error instanceof ApiError ? send.error.problem.field : undefined;
  const wrongAt = (name: string) => (send.error && field === name ? messageOf(send.error) : null);
  useEffect(() => {
    document.title = `${TITLES[purpose]} · obsrv`;
  }, [purpose]);
  const set = (name: keyof typeof typed) => (event: { target: { value: string } }) =>
    setTyped({ ...typed, [name]: event.target.value });
  return (
    <Gate title={TITLES[purpose]}>
      <form
        className="stack"
        onSubmit={(event) => {
          event.preventDefault();
          send.mutate();
        }}
      >
        {!token && (
          <Field label="Token" hint="What stands behind #token= in the link." wrong={wrongAt("token")}>
            {(props) => (
              <input {...props} className="input mono" required value={typed.token} onChange={set("token")} />
            )}
          </Field>
        )}
        {purpose === "setup" && (
          <Field label="E-mail" wrong={wrongAt("email")}>
            {(props) => (
              <input
                {...props}
                className="input"
                type="email"
                autoComplete="username"
                required
                value={typed.email}
                onChange={set("email")}
              />
            )}
          </Field>
        )}
        {wantsName && (
          <Field label="Name" hint="As others see you." wrong={wrongAt("name")}>
            {(props) => (
              <input
                {...props}
                className="input"
                autoComplete="name"
                required
                value={typed.name}
                onChange={set("name")}
              />
            )}
          </Field>
        )}
        {purpose !== "verify" && (
          <Field
            label="Password"
            hint={`At least ${PASSWORD_MIN} characters. A sentence is easier to keep than signs.`}
            wrong={wrongAt("password")}
          >
            {(props) => (
              <input
                {...props}
                className="input"
                type="password"
                autoComplete="new-password"
                required
                value={typed.password}
                onChange={set("password")}
              />
            )}
          </Field>
        )}
        {send.error && (!field || (field === "token" && token)) && (
          <p className="wrong" role="alert">
            {sentence(messageOf(send.error))}
          </p>
        )}
        <button type="submit" className="button main" disabled={send.isPending}>
          {BUTTONS[purpose]}
        </button>
      </form>
    </Gate>
  );
}

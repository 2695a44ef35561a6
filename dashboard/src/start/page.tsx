// A project without traces: how to send the first one, and that it has arrived.
import { useQuery } from "@tanstack/react-query";
import { useEffect, useState } from "react";
import { Link } from "wouter";
import { get, part, post } from "../api/client";
import { at } from "../api/queries";
import type { KeyMade, Listed, Trace } from "../api/types";
import { can, useProject } from "../shell/projects";
import { Code, messageOf, Status, sentence } from "../ui/parts";
import { Send } from "./send";

const LOOK_MS = 1500;

export default function StartPage({ project }: { project: string }) {
  const shown = useProject(project);
  const [key, setKey] = useState<string | null>(null);
  const [wrong, setWrong] = useState<string | null>(null);
  const first = useQuery({
    queryKey: ["first", project],
    queryFn: ({ signal }) => get<Listed<Trace>>(at(project, "/traces"), { limit: 1 }, signal),
    refetchInterval: (query) => (query.state.data?.data.length ? false : LOOK_MS),
  });
  const arrived = first.data?.data[0];
  useEffect(() => {
    document.title = "Send the first trace · obsrv";
  }, []);
  const makeKey = async () => {
    setWrong(null);
    try {
      const made = await post<KeyMade>(`/v1/projects/${part(project)}/keys`, {
        name: "first",
        scopes: ["ingest"],
      });
      setKey(made.key);
    } catch (error) {
      setWrong(messageOf(error));
    }
  };
  return (
    <div className="page start">
      <h1>Send the first trace to {shown?.name ?? "this project"}</h1>
      <section className="card stack">
        <h2>1. A key</h2>
        {key ? (
          <>
            <Code text={key} />
            <p className="soft">
              Shown this once; it is in the example below, too. It may send, and nothing else.
            </p>
          </>
        ) : can(shown?.rights, "key.edit") ? (
          <div className="row wrap">
            <button type="button" className="button main" onClick={makeKey}>
              Make a key
            </button>
            <span className="soft">or use one that you have: it goes where YOUR_KEY stands.</span>
          </div>
        ) : (
          <p>Ask an administrator of the project for a key that may send. It goes where YOUR_KEY stands.</p>
        )}
        {wrong && (
          <p className="wrong" role="alert">
            {sentence(wrong)}
          </p>
        )}
      </section>
      <section className="card stack">
        <h2>2. Send</h2>
        <Send apiKey={key ?? "YOUR_KEY"} />
      </section>
      <section className="card stack" role="status">
        <h2>3. See it</h2>
        {arrived ? (
          <div className="row wrap">
            <Status status="ok" label={false} />
            <b>It has arrived:</b>
            <span className="cut">{arrived.name || arrived.run_id}</span>
            <Link className="button main" href={`/p/${project}/traces/${part(arrived.run_id)}`}>
              Open the trace
            </Link>
            <Link className="button" href={`/p/${project}/traces`}>
              All traces
            </Link>
          </div>
        ) : (
          <div className="row">
            <span className="pulse" />
            <span>Waiting for the first trace. This page notices it by itself.</span>
          </div>
        )}
      </section>
    </div>
  );
}

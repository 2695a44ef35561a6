import { useEffect } from "react";
import { part } from "../api/client";
import { Groups } from "./groups";

export default function ThreadsPage({ project }: { project: string }) {
  useEffect(() => {
    document.title = "Threads · obsrv";
  }, []);
  return (
    <Groups
      project={project}
      by="thread_id"
      title="Threads"
      one="thread"
      empty="Traces that name a thread (a session, a conversation) are put together here."
      href={(name) => `/p/${project}/threads/${part(name)}`}
    />
  );
}

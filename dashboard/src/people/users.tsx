import { useEffect } from "react";
import { term } from "../state/filter";
import { Groups } from "./groups";

export default function UsersPage({ project }: { project: string }) {
  useEffect(() => {
    document.title = "Users · obsrv";
  }, []);
  return (
    <Groups
      project={project}
      by="user_id"
      title="Users"
      one="user"
      empty="Traces that name a user are put together here."
      href={(name) => `/p/${project}/traces?q=${encodeURIComponent(term("user_id", name))}`}
    />
  );
}

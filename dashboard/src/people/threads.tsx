import { part } from "../api/client";
import { Groups, THREADS } from "./groups";

export default function ThreadsPage({ project }: { project: string }) {
  return (
    <Groups project={project} kind={THREADS} href={(name) => `/p/${project}/threads/${part(name)}`} />
  );
}

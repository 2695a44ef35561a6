import { part } from "../api/client";
import { Groups, USERS } from "./groups";

export default function UsersPage({ project }: { project: string }) {
  return <Groups project={project} kind={USERS} href={(name) => `/p/${project}/users/${part(name)}`} />;
}

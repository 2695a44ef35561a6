// What people are called, for whoever may read who is a member.
import { useQuery } from "@tanstack/react-query";
import { get, part } from "../api/client";
import type { Items } from "../api/types";
import { can, useOrgs, useProject } from "./projects";

export interface Member {
  user: number;
  role: string;
  email?: string;
  name?: string;
}

export function useMembers(org: string | undefined, enabled = true) {
  return useQuery({
    queryKey: ["members", org],
    queryFn: ({ signal }) =>
      get<Items<Member>>(`/v1/orgs/${part(org ?? "")}/members`, { limit: 200 }, signal),
    enabled: enabled && org !== undefined,
    staleTime: 60_000,
  });
}

// The name for `user:5`; what it is given where that is none or nobody is known by it.
export function useNames(org: string | undefined) {
  const rights = useOrgs().data?.find((one) => String(one.id) === org)?.rights;
  const members = useMembers(org, can(rights, "member.read"));
  return (actor: string | null | undefined): string => {
    const found = members.data?.items.find(({ user }) => `user:${user}` === actor);
    return found?.name ?? actor ?? "";
  };
}

export function useNamesIn(project: string) {
  const org = useProject(project)?.org;
  return useNames(org === undefined ? undefined : String(org));
}

// Projects and organizations of whoever is signed in.
import { useQuery } from "@tanstack/react-query";
import { get } from "../api/client";
import type { Items, Org, Project } from "../api/types";

const PAGES_MAX = 20;

async function all<T>(path: string, signal: AbortSignal): Promise<T[]> {
  const found: T[] = [];
  let after: string | undefined;
  for (let page = 0; page < PAGES_MAX; page++) {
    const answer = await get<Items<T>>(path, { after }, signal);
    found.push(...answer.items);
    if (!answer.next) {
      break;
    }
    after = answer.next;
  }
  return found;
}

export const useProjects = () =>
  useQuery({ queryKey: ["projects"], queryFn: ({ signal }) => all<Project>("/v1/projects", signal) });

export const useOrgs = () =>
  useQuery({ queryKey: ["orgs"], queryFn: ({ signal }) => all<Org>("/v1/orgs", signal) });

export function useProject(id: string): Project | undefined {
  return useProjects().data?.find((project) => String(project.id) === id);
}

export const can = (rights: string[] | undefined, right: string) => rights?.includes(right) ?? false;

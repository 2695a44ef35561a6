// The steps of a trace as a graph: which name follows which, and how often.
import { useQuery } from "@tanstack/react-query";
import { useMemo } from "react";
import { post } from "../api/client";
import { at } from "../api/queries";
import { Graph, type Paths } from "../paths/page";
import { term } from "../state/filter";
import { Empty, Failure, Ghosts } from "../ui/parts";
import type { Steps } from "./columns";
import { ofSteps } from "./failures";

export function TraceGraph({ project, id, steps }: { project: string; id: string; steps: Steps | null }) {
  const answer = useQuery({
    queryKey: ["paths", project, { id }],
    queryFn: ({ signal }) =>
      post<Paths>(at(project, "/paths"), { q: term("trace_id", id), by: "name", limit: 1 }, signal),
  });
  const paths = useMemo(() => answer.data && steps && ofSteps(answer.data, steps), [answer.data, steps]);
  if (answer.isError) {
    return <Failure error={answer.error} retry={() => answer.refetch()} />;
  }
  if (!paths) {
    return (
      <div className="waiting">
        <Ghosts lines={8} height={28} />
      </div>
    );
  }
  return paths.runs === 0 ? (
    <Empty title="No step has arrived yet" />
  ) : (
    <div className="trace-graph">
      <Graph paths={paths} of="steps" />
    </div>
  );
}

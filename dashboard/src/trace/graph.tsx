// The steps of a trace as a graph: which name follows which, and how often.
import { useQuery } from "@tanstack/react-query";
import { post } from "../api/client";
import { at } from "../api/queries";
import { Graph, type Paths } from "../paths/page";
import { term } from "../state/filter";
import { Empty, Failure, Ghosts } from "../ui/parts";

export function TraceGraph({ project, id }: { project: string; id: string }) {
  const answer = useQuery({
    queryKey: ["paths", project, { id }],
    queryFn: ({ signal }) =>
      post<Paths>(at(project, "/paths"), { q: term("trace_id", id), by: "name", limit: 1 }, signal),
  });
  if (answer.isError) {
    return <Failure error={answer.error} retry={() => answer.refetch()} />;
  }
  if (!answer.data) {
    return (
      <div className="waiting">
        <Ghosts lines={8} height={28} />
      </div>
    );
  }
  return answer.data.runs === 0 ? (
    <Empty title="No step has arrived yet" />
  ) : (
    <div className="trace-graph">
      <Graph paths={answer.data} />
    </div>
  );
}

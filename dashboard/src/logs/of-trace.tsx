// The log lines of a trace or of a step, oldest first.
import { useInfiniteQuery } from "@tanstack/react-query";
import { Link } from "wouter";
import { get } from "../api/client";
import { at } from "../api/queries";
import { usePrefs } from "../state/prefs";
import { fullTime, time } from "../text/format";
import { Empty, Failure, Ghosts } from "../ui/parts";
import { LineDetail } from "./detail";
import { Level } from "./level";
import { type Lines, saidBy } from "./line";

const LINES = 200;

export function LogsOf({ project, q }: { project: string; q: string }) {
  const { zone } = usePrefs();
  const list = useInfiniteQuery({
    queryKey: ["logs", project, { q, sort: "start" }],
    queryFn: ({ signal, pageParam }) =>
      get<Lines>(at(project, "/logs"), { q, sort: "start", limit: LINES, cursor: pageParam }, signal),
    initialPageParam: null as string | null,
    getNextPageParam: (page) => page.next_cursor,
  });
  if (list.isError) {
    return <Failure error={list.error} retry={() => list.refetch()} />;
  }
  if (!list.data) {
    return <Ghosts lines={6} />;
  }
  const lines = list.data.pages.flatMap((page) => page.data);
  if (lines.length === 0) {
    return (
      <Empty title="No log line">
        <p>Lines that an exporter sends with the id of a trace stand here.</p>
      </Empty>
    );
  }
  return (
    <div className="log-lines">
      <p>
        <Link href={`/p/${project}/logs?q=${encodeURIComponent(q)}`}>Search in these lines</Link>
      </p>
      {lines.map((line) => (
        <details key={line.id} className="log-fold">
          <summary>
            <span className="soft num" title={fullTime(line.start, zone)}>
              {time(line.start, zone)}
            </span>
            <Level level={line.level} />
            <span className="grow cut mono">{saidBy(line)}</span>
          </summary>
          <LineDetail project={project} line={line} />
        </details>
      ))}
      {list.hasNextPage && (
        <button
          type="button"
          className="button"
          disabled={list.isFetchingNextPage}
          onClick={() => list.fetchNextPage()}
        >
          Show more
        </button>
      )}
    </div>
  );
}

// A trace beside the list: enough of it to know whether to open it.
import { useMemo, useState } from "react";
import { useLocation } from "wouter";
import { part } from "../api/client";
import type { Json } from "../api/types";
import { compact, costText, costTitle, count, duration, totalCost } from "../text/format";
import { Failure, Ghosts, Icon, Status } from "../ui/parts";
import { Conversation } from "./conversation";
import { callBefore, useTrace } from "./load";
import { StepDetail } from "./step";
import { Waterfall } from "./waterfall";

export default function Peek({
  project,
  id,
  close,
  onFilter,
}: {
  project: string;
  id: string;
  close: () => void;
  onFilter: (key: string, value: Json, exclude: boolean) => void;
}) {
  const [, navigate] = useLocation();
  const { head, spans, steps, total } = useTrace(project, id);
  const [tab, setTab] = useState<"steps" | "talk">("steps");
  const [span, setSpan] = useState<string | null>(null);
  const chosen = useMemo(() => (steps && span !== null ? steps.ids.indexOf(span) : -1), [steps, span]);
  const trace = head.data?.trace;
  return (
    <aside className="peek" aria-label="Peek">
      <header className="peek-head">
        <div className="row">
          <h2 className="cut grow">{trace ? trace.name || id : <span className="ghost ghost-title" />}</h2>
          {trace && <Status status={trace.status} />}
          <button
            type="button"
            className="button small"
            title="Open (o)"
            onClick={() =>
              navigate(`/p/${project}/traces/${part(id)}${span === null ? "" : `?span=${part(span)}`}`)
            }
          >
            Open
          </button>
          <button
            type="button"
            className="button plain icon small"
            aria-label="Close the peek"
            title="Close (Esc)"
            onClick={close}
          >
            <Icon name="close" />
          </button>
        </div>
        <div className="row wrap soft num peek-facts">
          {trace && (
            <>
              <span>{trace.status === "running" ? "running" : duration(trace.duration_ns)}</span>
              {trace.tokens && <span>{compact(trace.tokens.total)} tokens</span>}
              {totalCost(trace.cost) !== null && <span title={costTitle(trace.cost)}>{costText(trace.cost)}</span>}
              <span>{count(trace.span_count)} steps</span>
            </>
          )}
        </div>
        {trace?.error_message && <pre className="note bad peek-error">{trace.error_message}</pre>}
      </header>
      <div className="tabs" role="tablist" aria-label="Views of the trace">
        {(
          [
            ["steps", "Steps"],
            ["talk", "Conversation"],
          ] as const
        ).map(([value, name]) => (
          <button
            key={value}
            type="button"
            role="tab"
            className="tab"
            aria-selected={tab === value}
            onClick={() => setTab(value)}
          >
            {name}
          </button>
        ))}
      </div>
      <div className="peek-body">
        {head.isError && !head.data ? (
          <Failure error={head.error} retry={() => head.refetch()} />
        ) : tab === "talk" ? (
          <Conversation project={project} id={id} />
        ) : spans.isError && !steps ? (
          <Failure error={spans.error} retry={() => spans.refetch()} />
        ) : !steps ? (
          <div className="waiting">
            <Ghosts lines={8} height={20} />
          </div>
        ) : (
          <div className={`peek-split ${chosen >= 0 ? "has-step" : ""}`}>
            <Waterfall
              steps={steps}
              total={total}
              chosen={chosen}
              onChoose={(place) => setSpan(steps.ids[place] ?? null)}
              isBeside
            />
            {chosen >= 0 && span !== null && (
              <section className="step" aria-label="Step">
                <StepDetail
                  key={span}
                  project={project}
                  trace={id}
                  span={span}
                  before={callBefore(steps, chosen)}
                  onFilter={onFilter}
                  close={() => setSpan(null)}
                />
              </section>
            )}
          </div>
        )}
      </div>
    </aside>
  );
}

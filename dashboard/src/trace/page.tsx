// A trace: its steps over time, its conversation, what people said of it, and one step whole.
import { useQueryClient } from "@tanstack/react-query";
import { useEffect, useMemo } from "react";
import { useLocation } from "wouter";
import { part, post } from "../api/client";
import { at } from "../api/queries";
import type { Json } from "../api/types";
import { LogsOf } from "../logs/of-trace";
import { term } from "../state/filter";
import { useParams } from "../state/url";
import { FileList, useAttachments } from "../text/attached";
import { count } from "../text/format";
import { useShortcuts } from "../ui/keys";
import { copyText, Failure, Ghosts, messageOf } from "../ui/parts";
import { toast } from "../ui/toast";
import { Conversation } from "./conversation";
import { Feedback } from "./feedback";
import { TraceGraph } from "./graph";
import { TraceHead } from "./head";
import { callBefore, useTrace } from "./load";
import { Overview } from "./overview";
import { StepDetail } from "./step";
import { Waterfall } from "./waterfall";

const TABS = [
  ["steps", "Steps"],
  ["conversation", "Conversation"],
  ["graph", "Graph"],
  ["logs", "Logs"],
  ["feedback", "Scores"],
  ["files", "Attachments"],
] as const;

export default function TracePage({ project, id }: { project: string; id: string }) {
  const [params, set] = useParams();
  const [, navigate] = useLocation();
  const queries = useQueryClient();
  const { head, spans, steps, total } = useTrace(project, id);
  const files = useAttachments(project, id, head.isSuccess && steps !== null);
  const tab = params.tab ?? "steps";
  const chosen = useMemo(
    () => (steps && params.span ? steps.ids.indexOf(params.span) : -1),
    [steps, params.span],
  );
  const siblings = useMemo(() => {
    try {
      return JSON.parse(sessionStorage.getItem("obsrv.list") ?? "[]") as string[];
    } catch {
      return [];
    }
  }, []);
  const place = siblings.indexOf(id);
  const go = (step: number) => {
    const to = siblings[place + step];
    if (place >= 0 && to) {
      navigate(`/p/${project}/traces/${part(to)}`, { replace: true });
    }
  };
  const choose = (place: number) => {
    const span = steps?.ids[place];
    if (span !== undefined) {
      set({ span }, "replace");
    }
  };
  // What is chosen, or else the whole trace.
  const rate = async (value: 0 | 1) => {
    try {
      const about = params.span ? { trace_id: id, span_id: params.span } : { trace_id: id };
      await post(at(project, "/scores"), { ...about, name: "quality", value });
      toast(`Scored the ${params.span ? "step" : "trace"} ${value === 1 ? "good" : "bad"}`);
      await head.refetch();
      await queries.invalidateQueries({ queryKey: ["scores", project, id] });
    } catch (error) {
      toast(messageOf(error), true);
    }
  };
  const comment = () => {
    set({ tab: "feedback" }, "replace");
    requestAnimationFrame(() => document.querySelector<HTMLElement>(".feedback textarea")?.focus());
  };
  const name = head.data?.trace.name || id;
  useEffect(() => {
    document.title = `${name} · obsrv`;
  }, [name]);
  useShortcuts([
    { keys: "j", does: "Next trace of the list", run: () => go(1) },
    { keys: "k", does: "Trace before in the list", run: () => go(-1) },
    {
      keys: "c",
      does: "Copy the link",
      run: () => {
        void copyText(window.location.href);
        toast("Link copied");
      },
    },
    {
      keys: "y",
      does: "Copy the id of the trace",
      run: () => {
        void copyText(id);
        toast("Id copied");
      },
    },
    { keys: "+", does: "Score the step or the trace good", run: () => void rate(1) },
    { keys: "-", does: "Score the step or the trace bad", run: () => void rate(0) },
    { keys: "m", does: "Comment", run: comment },
    { keys: "1", does: "Steps", run: () => set({ tab: null }, "replace") },
    { keys: "2", does: "Conversation", run: () => set({ tab: "conversation" }, "replace") },
    { keys: "3", does: "Graph of the steps", run: () => set({ tab: "graph" }, "replace") },
    { keys: "4", does: "Logs", run: () => set({ tab: "logs" }, "replace") },
    { keys: "5", does: "Scores", run: () => set({ tab: "feedback" }, "replace") },
    { keys: "6", does: "Attachments", run: () => files.length > 0 && set({ tab: "files" }, "replace") },
    {
      keys: "u",
      does: "Back to the list",
      run: () => navigate(`/p/${project}/traces${sessionStorage.getItem("obsrv.list.at") ?? ""}`),
    },
  ]);
  if (head.isError && !head.data) {
    return <Failure error={head.error} retry={() => head.refetch()} />;
  }
  const onFilter = (key: string, value: Json, exclude: boolean) =>
    navigate(`/p/${project}/traces?q=${encodeURIComponent(term(key, value, exclude))}`);
  return (
    <div className="trace-page">
      <TraceHead
        project={project}
        id={id}
        trace={head.data?.trace}
        place={place}
        siblings={siblings.length}
        go={go}
      />
      <div className="tabs" role="tablist" aria-label="Views of the trace">
        {TABS.filter(([value]) => value !== "files" || files.length > 0).map(([value, text]) => (
          <button
            key={value}
            type="button"
            role="tab"
            className="tab"
            aria-selected={tab === value}
            onClick={() => set({ tab: value === "steps" ? null : value }, "replace")}
          >
            {text}
            {value === "steps" && steps && <span className="soft num"> {count(total)}</span>}
            {value === "files" && <span className="soft num"> {count(files.length)}</span>}
            {value === "feedback" && Boolean(head.data?.scores?.length) && (
              <span className="soft num"> {count(head.data?.scores?.length)}</span>
            )}
          </button>
        ))}
      </div>
      <div className="trace-body">
        {tab === "conversation" ? (
          <Conversation project={project} id={id} onStep={(span) => set({ tab: null, span })} />
        ) : tab === "logs" ? (
          <LogsOf project={project} q={term("trace_id", id)} />
        ) : tab === "graph" ? (
          <TraceGraph project={project} id={id} steps={steps} />
        ) : tab === "files" ? (
          <div className="step-pad">
            <FileList files={files} />
          </div>
        ) : tab === "feedback" ? (
          <Feedback
            project={project}
            id={id}
            span={null}
            scores={head.data?.scores ?? []}
            changed={() => head.refetch()}
          />
        ) : spans.isError && !steps ? (
          <Failure error={spans.error} retry={() => spans.refetch()} />
        ) : !steps ? (
          <div className="waiting">
            <Ghosts lines={12} height={20} />
          </div>
        ) : (
          <div className={`trace-split ${params.span || chosen >= 0 ? "has-step" : ""}`}>
            <Waterfall
              steps={steps}
              total={total}
              chosen={chosen}
              onChoose={choose}
            />
            <aside className="step" aria-label="Step">
              {chosen >= 0 || params.span ? (
                <StepDetail
                  key={params.span}
                  project={project}
                  trace={id}
                  span={params.span ?? ""}
                  before={steps ? callBefore(steps, chosen) : null}
                  onFilter={onFilter}
                  close={() => set({ span: null }, "replace")}
                />
              ) : (
                <Overview
                  project={project}
                  id={id}
                  trace={head.data?.trace}
                  steps={steps}
                  files={files}
                  onFilter={onFilter}
                />
              )}
            </aside>
          </div>
        )}
      </div>
    </div>
  );
}

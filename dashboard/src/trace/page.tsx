// A trace: its steps over time, its conversation, what people said of it, and one step whole.
import { useQueryClient } from "@tanstack/react-query";
import { useEffect, useMemo, useState } from "react";
import { Link, useLocation } from "wouter";
import { del, part } from "../api/client";
import { at } from "../api/queries";
import type { Json, Trace } from "../api/types";
import { idsText } from "../compare/ids";
import { LogsOf } from "../logs/of-trace";
import { can, useProject } from "../shell/projects";
import { term } from "../state/filter";
import { usePrefs } from "../state/prefs";
import { useParams } from "../state/url";
import { type Attachment, FileList, useAttachments } from "../text/attached";
import { compact, count, duration, fullTime, money, time, totalCost } from "../text/format";
import { useShortcuts } from "../ui/keys";
import { copyText, Dialog, Failure, Ghosts, Icon, Menu, messageOf, Status } from "../ui/parts";
import { toast } from "../ui/toast";
import type { Steps } from "./columns";
import { Conversation } from "./conversation";
import { Feedback } from "./feedback";
import { TraceGraph } from "./graph";
import { callBefore, useTrace } from "./load";
import { Spent } from "./spent";
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
          <TraceGraph project={project} id={id} />
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

function TraceHead({
  project,
  id,
  trace,
  place,
  siblings,
  go,
}: {
  project: string;
  id: string;
  trace: Trace | undefined;
  place: number;
  siblings: number;
  go: (step: number) => void;
}) {
  const { zone } = usePrefs();
  const [, navigate] = useLocation();
  const queries = useQueryClient();
  const rights = useProject(project)?.rights;
  const [isAsking, setAsking] = useState(false);
  return (
    <header className="trace-head">
      <div className="row">
        <Link
          className="button plain icon"
          aria-label="Back to the list"
          title="Back to the list (u)"
          href={`/p/${project}/traces${sessionStorage.getItem("obsrv.list.at") ?? ""}`}
        >
          <Icon name="left" />
        </Link>
        <h1 className="cut">{trace ? trace.name || id : <span className="ghost ghost-title" />}</h1>
        {trace && <Status status={trace.status} />}
        <div className="grow" />
        {place >= 0 && (
          <div className="row not-phone">
            <span className="soft num">
              {place + 1} of {siblings}
            </span>
            <button
              type="button"
              className="button plain icon"
              aria-label="Trace before"
              title="Trace before (k)"
              disabled={place === 0}
              onClick={() => go(-1)}
            >
              <Icon name="up" />
            </button>
            <button
              type="button"
              className="button plain icon"
              aria-label="Next trace"
              title="Next trace (j)"
              disabled={place >= siblings - 1}
              onClick={() => go(1)}
            >
              <Icon name="down" />
            </button>
          </div>
        )}
        <Menu label={<Icon name="menu" />} className="button icon" title="More">
          {(close) => (
            <>
              <button
                type="button"
                className="menu-item"
                onClick={() => {
                  close();
                  void copyText(window.location.href);
                  toast("Link copied");
                }}
              >
                <Icon name="link" /> Copy the link
              </button>
              <button
                type="button"
                className="menu-item"
                onClick={() => {
                  close();
                  void copyText(id);
                  toast("Id copied");
                }}
              >
                <Icon name="copy" /> Copy the id
              </button>
              <Link className="menu-item" href={`/p/${project}/compare?ids=${part(idsText([id]))}`} onClick={close}>
                <Icon name="compare" /> Compare with another
              </Link>
              {can(rights, "trace.delete") && (
                <button
                  type="button"
                  className="menu-item wrong"
                  onClick={() => {
                    close();
                    setAsking(true);
                  }}
                >
                  <Icon name="trash" /> Delete
                </button>
              )}
            </>
          )}
        </Menu>
      </div>
      {trace && (
        <dl className="facts">
          <Fact name="Latency" value={trace.status === "running" ? "running" : duration(trace.duration_ns)} />
          <Fact name="Tokens" value={compact(trace.tokens?.total)} title={count(trace.tokens?.total)} />
          <Fact name="Cost" value={money(totalCost(trace.cost))} />
          <Fact name="Started" value={time(trace.start, zone)} title={fullTime(trace.start, zone)} />
          {trace.user_id && (
            <Fact
              name="User"
              value={
                <Link
                  href={`/p/${project}/traces?q=${encodeURIComponent(`user_id:${JSON.stringify(trace.user_id)}`)}`}
                >
                  {trace.user_id}
                </Link>
              }
            />
          )}
          {trace.thread_id && (
            <Fact
              name="Thread"
              value={<Link href={`/p/${project}/threads/${part(trace.thread_id)}`}>{trace.thread_id}</Link>}
            />
          )}
          {trace.environment && <Fact name="Environment" value={trace.environment} />}
          {trace.models?.length ? <Fact name="Models" value={trace.models.join(", ")} /> : null}
        </dl>
      )}
      <Dialog title="Delete this trace?" open={isAsking} close={() => setAsking(false)}>
        <p>It is gone at once, with all its steps, for everybody. Nothing brings it back.</p>
        <div className="dialog-foot">
          <button type="button" className="button" onClick={() => setAsking(false)}>
            Keep it
          </button>
          <button
            type="button"
            className="button danger"
            onClick={async () => {
              try {
                await del(at(project, `/traces/${part(id)}`));
                await queries.invalidateQueries({ queryKey: ["traces"] });
                navigate(`/p/${project}/traces`);
                toast("Trace deleted");
              } catch (error) {
                toast(messageOf(error), true);
              }
            }}
          >
            Delete
          </button>
        </div>
      </Dialog>
    </header>
  );
}

function Fact({ name, value, title }: { name: string; value: React.ReactNode; title?: string }) {
  return (
    <div>
      <dt>{name}</dt>
      <dd className="num cut" title={title}>
        {value}
      </dd>
    </div>
  );
}

function Overview({
  project,
  id,
  trace,
  steps,
  files,
  onFilter,
}: {
  project: string;
  id: string;
  trace: Trace | undefined;
  steps: Steps;
  files: Attachment[];
  onFilter: (key: string, value: Json, exclude: boolean) => void;
}) {
  const [JsonView, setJsonView] = useState<typeof import("../text/json-view").JsonView | null>(null);
  useEffect(() => {
    void import("../text/json-view").then((module) => setJsonView(() => module.JsonView));
  }, []);
  if (!trace) {
    return <Ghosts lines={8} />;
  }
  const metadata = trace.metadata ?? {};
  return (
    <div className="stack step-pad">
      <h2>The whole run</h2>
      {trace.error_message && (
        <section>
          <h3>Error</h3>
          <pre className="note bad">{trace.error_message}</pre>
        </section>
      )}
      <section>
        <h3>Input</h3>
        <pre className="text">{trace.input_preview || "Nothing"}</pre>
      </section>
      <section>
        <h3>Output</h3>
        <pre className="text">{trace.output_preview || "Nothing"}</pre>
      </section>
      <Spent project={project} id={id} trace={trace} steps={steps} />
      {trace.tags?.length ? (
        <section>
          <h3>Tags</h3>
          <div className="row wrap">
            {trace.tags.map((tag) => (
              <button key={tag} type="button" className="chip" onClick={() => onFilter("tags", tag, false)}>
                {tag}
              </button>
            ))}
          </div>
        </section>
      ) : null}
      {Object.keys(metadata).length > 0 && JsonView && (
        <section>
          <h3>Metadata</h3>
          <JsonView
            value={metadata}
            label="metadata"
            onFilter={(path, value, exclude) => onFilter(`metadata.${path}`, value, exclude)}
          />
        </section>
      )}
      {files.length > 0 && (
        <section>
          <h3>Attachments</h3>
          <FileList files={files} />
        </section>
      )}
      <p className="soft">Choose a step to see all of it.</p>
    </div>
  );
}

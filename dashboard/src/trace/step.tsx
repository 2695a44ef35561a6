// One step whole: what went in and came out first, then attributes, then what was stored.
import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { get, part } from "../api/client";
import { at } from "../api/queries";
import type { Json, Message, Span } from "../api/types";
import { LogsOf } from "../logs/of-trace";
import { term } from "../state/filter";
import { usePrefs } from "../state/prefs";
import { FileList, FilesOf, meantIn, useAttachments } from "../text/attached";
import { count, duration, fullTime, money, totalCost } from "../text/format";
import { JsonView } from "../text/json-view";
import { Value } from "../text/value";
import { CopyButton, Failure, Ghosts, Icon, Status } from "../ui/parts";
import { Feedback } from "./feedback";
import { MessageParts, roleGroup, ToolCall } from "./message";
import { TokenParts } from "./spent";
import { TurnChanges } from "./turns";

// In quotes, for without them it is the id of the line.
const OF_STEP = '"span_id":';
const TABS = ["Content", "Changes", "Attributes", "Events", "Logs", "Scores", "Raw"] as const;

const isFilled = (value: unknown) =>
  value !== null &&
  value !== undefined &&
  value !== "" &&
  !(typeof value === "object" && Object.keys(value as object).length === 0);

export function StepDetail({
  project,
  trace,
  span,
  before,
  onFilter,
  close,
}: {
  project: string;
  trace: string;
  span: string;
  // The model call before this one, if this is one.
  before: string | null;
  onFilter: (key: string, value: Json, exclude: boolean) => void;
  close: () => void;
}) {
  const [tab, setTab] = useState<(typeof TABS)[number]>("Content");
  const answer = useQuery({
    queryKey: ["span", project, trace, span],
    queryFn: ({ signal }) => get<Span>(at(project, `/traces/${part(trace)}/spans/${part(span)}`), { media: "reference" }, signal),
  });
  const files = useAttachments(project, trace, answer.isSuccess);
  if (answer.isError) {
    return <Failure error={answer.error} retry={() => answer.refetch()} />;
  }
  if (!answer.data) {
    return (
      <div className="step-pad">
        <Ghosts lines={9} />
      </div>
    );
  }
  const step = answer.data;
  const named = meantIn([step.input ?? null, step.output ?? null, step.messages ?? null], files);
  const own = files.filter((file) => file.span_id === span && !named.includes(file));
  return (
    <FilesOf value={files}>
      <StepHead step={step} close={close} />
      <div className="tabs" role="tablist" aria-label="Parts of the step">
        {TABS.filter((name) => name !== "Changes" || before !== null).map((name) => (
          <button
            key={name}
            type="button"
            role="tab"
            className="tab"
            aria-selected={tab === name}
            onClick={() => setTab(name)}
          >
            {name}
            {name === "Events" && Array.isArray(step.events) && step.events.length > 0 && (
              <span className="soft num"> {step.events.length}</span>
            )}
          </button>
        ))}
      </div>
      <div className="step-content step-pad stack" role="tabpanel" aria-label={tab} tabIndex={0}>
        {tab === "Content" && <Content step={step} />}
        {tab === "Content" && own.length > 0 && (
          <section>
            <h3>Attached</h3>
            <FileList files={own} />
          </section>
        )}
        {tab === "Changes" && before !== null && (
          <TurnChanges project={project} trace={trace} step={step} before={before} />
        )}
        {tab === "Logs" && <LogsOf project={project} q={`${term("trace_id", trace)} ${OF_STEP}${JSON.stringify(span)}`} />}
        {tab === "Attributes" && <Attributes step={step} onFilter={onFilter} />}
        {tab === "Events" && <Events step={step} />}
        {tab === "Scores" && (
          <Feedback project={project} id={trace} span={span} scores={null} changed={() => {}} />
        )}
        {tab === "Raw" && <Value value={step.raw ?? (step as unknown as Json)} label="stored document" />}
      </div>
    </FilesOf>
  );
}

function StepHead({ step, close }: { step: Span; close: () => void }) {
  const { zone } = usePrefs();
  const tokens = step.tokens ?? {};
  return (
    <header className="step-head">
      <div className="row">
        <h2 className="cut grow" title={step.name ?? ""}>
          {step.name || "(no name)"}
        </h2>
        <Status status={step.status} />
        <CopyButton text={step.span_id} label="Copy the id of the step" />
        <button type="button" className="button plain icon small" aria-label="Close the step" onClick={close}>
          <Icon name="close" />
        </button>
      </div>
      <div className="row wrap soft num">
        {step.kind && <span className="chip">{step.kind}</span>}
        {step.model && <span className="chip">{step.model}</span>}
        {step.tool && step.tool !== step.name && <span className="chip">{step.tool}</span>}
        <span>{step.status === "running" ? "running" : duration(step.duration_ns)}</span>
        {typeof tokens.total === "number" && (
          <span>{count(tokens.total)} tokens</span>
        )}
        {totalCost(step.cost) !== null && <span>{money(totalCost(step.cost))}</span>}
        <span title="Start">{fullTime(step.start, zone)}</span>
      </div>
      <TokenParts tokens={step.tokens} />
    </header>
  );
}

function Content({ step }: { step: Span }) {
  const messages = (Array.isArray(step.messages) ? step.messages : []) as unknown as Message[];
  const calls = Array.isArray(step.tool_calls) ? step.tool_calls : [];
  const hasIo = isFilled(step.input) || isFilled(step.output);
  return (
    <>
      {step.error_message && (
        <section>
          <h3>Error</h3>
          <pre className="note bad">{step.error_message}</pre>
        </section>
      )}
      {messages.length > 0 && (
        <section className="stack" aria-label="Messages">
          {messages.map((message, place) => (
            <article key={place} className={`message ${roleGroup(String(message.role ?? ""))}`}>
              <div className="message-role">{String(message.role ?? "message")}</div>
              <MessageParts message={message} />
            </article>
          ))}
        </section>
      )}
      {messages.length === 0 && calls.length > 0 && !hasIo && (
        <section className="stack">
          {calls.map((call, place) => (
            <ToolCall key={place} call={call} />
          ))}
        </section>
      )}
      {(messages.length === 0 || hasIo) && (messages.length === 0 ? hasIo || calls.length === 0 : false) && (
        <>
          <section>
            <h3>Input</h3>
            <Value value={step.input} label="input" />
          </section>
          <section>
            <h3>Output</h3>
            <Value value={step.output} label="output" />
          </section>
        </>
      )}
    </>
  );
}

function Attributes({
  step,
  onFilter,
}: {
  step: Span;
  onFilter: (key: string, value: Json, exclude: boolean) => void;
}) {
  const groups: [string, Json | undefined, string][] = [
    ["Attributes", step.attributes as Json | undefined, "attributes."],
    ["Metadata", step.metadata as Json | undefined, "metadata."],
    ["Resource", step.resource, "resource."],
    ["Instrumentation", step.scope, "scope."],
  ];
  const filled = groups.filter(([, value]) => isFilled(value));
  if (filled.length === 0) {
    return <p className="soft">This step came without attributes.</p>;
  }
  return filled.map(([name, value, before]) => (
    <section key={name}>
      <h3>{name}</h3>
      <JsonView
        value={value ?? null}
        label={name}
        onFilter={(path, one, exclude) => onFilter(before + path, one, exclude)}
      />
    </section>
  ));
}

function Events({ step }: { step: Span }) {
  const { zone } = usePrefs();
  const events = Array.isArray(step.events) ? step.events : [];
  const links = Array.isArray(step.links) ? step.links : [];
  if (events.length === 0 && links.length === 0) {
    return <p className="soft">Nothing was noted during this step.</p>;
  }
  return (
    <>
      {events.map((event, place) => {
        const map =
          typeof event === "object" && event !== null && !Array.isArray(event) ? event : { value: event };
        const { name, time, timestamp, ...rest } = map as { [key: string]: Json };
        const when = time ?? timestamp;
        return (
          <section key={place}>
            <h3>
              {String(name ?? "event")}{" "}
              {typeof when === "string" && <span className="soft num">{fullTime(when, zone)}</span>}
            </h3>
            <JsonView value={rest} label={String(name ?? "event")} />
          </section>
        );
      })}
      {links.length > 0 && (
        <section>
          <h3>Links</h3>
          <JsonView value={links} label="links" />
        </section>
      )}
    </>
  );
}

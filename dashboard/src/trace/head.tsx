// What a trace is, over all of its views, and what can be done with it.
import { useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { Link, useLocation } from "wouter";
import { del, part } from "../api/client";
import { at } from "../api/queries";
import type { Trace } from "../api/types";
import { idsText } from "../compare/ids";
import { can, useProject } from "../shell/projects";
import { usePrefs } from "../state/prefs";
import { compact, costText, costTitle, count, duration, fullTime, time } from "../text/format";
import { Confirm } from "../ui/confirm";
import { copyText, Icon, Menu, Status } from "../ui/parts";
import { toast } from "../ui/toast";

export function TraceHead({
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
          <Fact name="Cost" value={costText(trace.cost)} title={costTitle(trace.cost)} />
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
          {trace.region && <Fact name="Region" value={trace.region} />}
          {trace.version && <Fact name="Version" value={trace.version} />}
          {trace.release && <Fact name="Release" value={trace.release} />}
          {trace.models?.length ? <Fact name="Models" value={trace.models.join(", ")} /> : null}
        </dl>
      )}
      <Confirm
        title="Delete this trace?"
        open={isAsking}
        close={() => setAsking(false)}
        yes="Delete"
        run={async () => {
          await del(at(project, `/traces/${part(id)}`));
          await queries.invalidateQueries({ queryKey: ["traces"] });
          navigate(`/p/${project}/traces`);
          toast("Trace deleted");
        }}
      >
        <p>It is gone at once, with all its steps, for everybody. Nothing brings it back.</p>
      </Confirm>
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

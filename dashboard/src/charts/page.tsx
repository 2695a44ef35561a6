// Charts over time: the usual ones by any key, or a dashboard of one's own. Each point leads to its
// traces.
import { useEffect, useMemo, useRef, useState } from "react";
import { useLocation } from "wouter";
import { ApiError } from "../api/client";
import { useBounds, useKeys } from "../api/queries";
import { can, useProject } from "../shell/projects";
import { isScore } from "../state/filter";
import { moment, stepFor } from "../state/time";
import { useParams } from "../state/url";
import { RangeMenu } from "../traces/range-menu";
import { SearchBar } from "../traces/search-bar";
import { Confirm } from "../ui/confirm";
import { Dialog, Empty, Failure, Ghosts, Icon, Menu, messageOf } from "../ui/parts";
import { toast } from "../ui/toast";
import { Chart, type Looked } from "./chart";
import { ChartForm, type Dashboard, NameDialog, useDashboards } from "./dashboards";
import { type ChartSpec, isApart, titleOf, USUAL, whatOf } from "./spec";

const POINTS = 60;

export default function ChartsPage({ project, id }: { project: string; id?: string }) {
  const [params, set] = useParams();
  const input = useRef<HTMLInputElement>(null);
  const { q = "", from = "", to = "", by = "" } = params;
  const scope = useMemo(() => ({ q, from, to }), [q, from, to]);
  const keys = (useKeys(project).data?.keys ?? []).filter(({ key }) => !isScore(key));
  const dashboards = useDashboards(project);
  const dashboard = dashboards.all.find((one) => one.id === id);
  const apart = dashboard && timesApart(dashboard.charts);
  const bounds = useBounds(project, apart ? { q: "", from, to } : scope, true, apart);
  const first = from ? moment(from) : (bounds.data?.from ?? null);
  const last = to ? moment(to) : from ? Date.now() : (bounds.data?.to ?? null);
  const step = first !== null && last !== null ? stepFor(Math.max(1000, last - first), POINTS) : 0;
  const name = dashboard?.name ?? "Charts";
  useEffect(() => {
    document.title = `${name} · obsrv`;
  }, [name]);
  const problem = bounds.error instanceof ApiError ? bounds.error.problem : null;
  const isQueryWrong = problem !== null && (problem.field === "q" || problem.code === "invalid_query");
  const look: Looked = { project, q, from, to, step };
  const usual = useMemo(
    () => (by ? USUAL.map((spec) => (whatOf(spec).isHeat ? spec : { ...spec, by })) : USUAL),
    [by],
  );
  return (
    <div className="page wide">
      <h1 className="hidden-text">{name}</h1>
      <div className="bar">
        <SearchBar
          project={project}
          value={q}
          onChange={(next) => set({ q: next })}
          problem={isQueryWrong ? problem : null}
          input={input}
        />
        {!id && (
          <select
            className="input by"
            aria-label="Group by"
            value={by}
            onChange={(event) => set({ by: event.target.value })}
          >
            <option value="">Not grouped</option>
            {keys.map(({ key }) => (
              <option key={key} value={key}>
                by {key}
              </option>
            ))}
          </select>
        )}
        <RangeMenu from={from} to={to} onChange={set} />
      </div>
      <Head project={project} dashboard={dashboard} dashboards={dashboards} />
      {bounds.isError && !isQueryWrong ? (
        <Failure error={bounds.error} retry={() => bounds.refetch()} />
      ) : bounds.isPending || (id && dashboards.isPending) ? (
        <Ghosts lines={8} height={40} />
      ) : id && !dashboard ? (
        <Empty title="No such dashboard">
          <p>It was deleted, or it is somebody else’s and not shared.</p>
        </Empty>
      ) : !bounds.data || step === 0 ? (
        <Empty title="Nothing to draw">
          <p>Nothing passes. Take away a part of the search, or look at more time.</p>
        </Empty>
      ) : dashboard ? (
        <Board dashboard={dashboard} save={dashboards.save} look={look} />
      ) : (
        <div className={`charts ${bounds.isPlaceholderData ? "is-stale" : ""}`}>
          {usual.map((spec) => (
            <Chart key={titleOf(spec)} spec={spec} look={look} />
          ))}
        </div>
      )}
    </div>
  );
}

// Of which rows the time that is drawn goes from the first to the last, if no chart is of traces or their steps.
function timesApart(charts: ChartSpec[]): "logs" | "points" | undefined {
  const [first] = charts;
  const over = first && charts.every(isApart) ? first.over : undefined;
  return over === "spans" ? undefined : over;
}

function Head({
  project,
  dashboard,
  dashboards,
}: {
  project: string;
  dashboard: Dashboard | undefined;
  dashboards: ReturnType<typeof useDashboards>;
}) {
  const [, navigate] = useLocation();
  const mayShare = can(useProject(project)?.rights, "trace.write");
  const [asking, setAsking] = useState<"new" | "name" | "delete" | null>(null);
  const close = () => setAsking(null);
  // The search and the time stay, whichever charts are looked at.
  const go = (path: string) => navigate(`/p/${project}/charts${path}${window.location.search}`);
  return (
    <div className="row wrap">
      <Menu
        title={`Dashboards: ${dashboard?.name ?? "The usual charts"}`}
        label={
          <>
            <Icon name="charts" />
            <span className="cut">{dashboard?.name ?? "The usual charts"}</span>
            <Icon name="down" />
          </>
        }
      >
        {(shut) => (
          <>
            <button
              type="button"
              className="menu-item"
              onClick={() => {
                shut();
                go("");
              }}
            >
              The usual charts
            </button>
            {dashboards.all.map((one) => (
              <button
                key={one.id}
                type="button"
                className="menu-item"
                onClick={() => {
                  shut();
                  go(`/${one.id}`);
                }}
              >
                <span className="grow cut">{one.name}</span>
                {one.shared && <span className="soft">shared</span>}
              </button>
            ))}
            <button
              type="button"
              className="menu-item soft"
              onClick={() => {
                shut();
                setAsking("new");
              }}
            >
              <Icon name="plus" /> New dashboard
            </button>
          </>
        )}
      </Menu>
      {dashboard?.own && (
        <>
          <button type="button" className="button plain" onClick={() => setAsking("name")}>
            Rename
          </button>
          <button type="button" className="button plain" onClick={() => setAsking("delete")}>
            Delete
          </button>
        </>
      )}
      <NameDialog
        title={asking === "name" ? "Rename the dashboard" : "A new dashboard"}
        open={asking === "new" || asking === "name"}
        close={close}
        begin={asking === "name" && dashboard ? dashboard : { name: "", shared: false }}
        mayShare={mayShare}
        save={async (name, shared) => {
          if (asking === "name" && dashboard) {
            await dashboards.save({ ...dashboard, name, shared });
          } else {
            go(`/${await dashboards.add(name, USUAL.slice(0, 3), shared)}`);
          }
        }}
      />
      <Confirm
        title={`Delete ${dashboard?.name}?`}
        open={asking === "delete"}
        close={close}
        yes="Delete"
        run={async () => {
          await dashboards.remove(dashboard?.id ?? "");
          go("");
        }}
      >
        <p>The charts go; the rows that they draw stay.</p>
      </Confirm>
    </div>
  );
}

function Board({
  dashboard,
  save,
  look,
}: {
  dashboard: Dashboard;
  save: (dashboard: Dashboard) => Promise<void>;
  look: Looked;
}) {
  // The place of the chart that is changed; one past the last is a new one.
  const [place, setPlace] = useState<number | null>(null);
  const { charts } = dashboard;
  const write = (next: ChartSpec[]) =>
    save({ ...dashboard, charts: next }).catch((error) => toast(messageOf(error), true));
  const moved = (at: number, by: number) => {
    const next = [...charts];
    const [one] = next.splice(at, 1);
    if (one) {
      next.splice(at + by, 0, one);
      void write(next);
    }
  };
  const does: [string, (at: number) => void, (at: number) => boolean][] = [
    ["Change", setPlace, () => true],
    ["Move before", (at) => moved(at, -1), (at) => at > 0],
    ["Move behind", (at) => moved(at, 1), (at) => at < charts.length - 1],
    ["Take away", (at) => void write(charts.filter((_, one) => one !== at)), () => true],
  ];
  return (
    <>
      {charts.length === 0 && (
        <Empty title="No chart yet">
          <p>What should it show?</p>
        </Empty>
      )}
      <div className="charts">
        {charts.map((spec, at) => (
          <Chart
            key={`${at} ${JSON.stringify(spec)}`}
            spec={spec}
            look={look}
            menu={
              dashboard.own ? (
                <div className="chart-menu">
                  <Menu
                    className="button plain icon small"
                    title={`Change ${titleOf(spec)}`}
                    label={<Icon name="more" />}
                  >
                    {(close) =>
                      does
                        .filter(([, , isThere]) => isThere(at))
                        .map(([name, run]) => (
                          <button
                            key={name}
                            type="button"
                            className="menu-item"
                            onClick={() => {
                              close();
                              run(at);
                            }}
                          >
                            {name}
                          </button>
                        ))
                    }
                  </Menu>
                </div>
              ) : null
            }
          />
        ))}
      </div>
      {dashboard.own && (
        <div>
          <button type="button" className="button" onClick={() => setPlace(charts.length)}>
            <Icon name="plus" /> Chart
          </button>
        </div>
      )}
      <Dialog
        title={place === charts.length ? "A new chart" : "Change the chart"}
        open={place !== null}
        close={() => setPlace(null)}
      >
        {place !== null && (
          <ChartForm
            project={look.project}
            begin={charts[place] ?? { what: "runs" }}
            close={() => setPlace(null)}
            save={async (spec) => {
              const next = [...charts];
              next[place] = spec;
              await save({ ...dashboard, charts: next });
            }}
          />
        )}
      </Dialog>
    </>
  );
}

// Experiments of a project: between which arms its programs choose, and what their runs come to.
import { useQuery, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { Link } from "wouter";
import { del, get, part } from "../api/client";
import type { Items } from "../api/types";
import { can, useProject } from "../shell/projects";
import { usePrefs } from "../state/prefs";
import { ago, costText, count, duration, fullTime } from "../text/format";
import { Confirm } from "../ui/confirm";
import { Empty, Failure, Ghosts, Icon } from "../ui/parts";
import { Table } from "../ui/table";
import { toast } from "../ui/toast";
import { type Experiment, ExperimentForm } from "./experiment-form";

interface Results {
  arms: {
    id: string;
    name: string | null;
    traffic_pct: number | null;
    traces: number;
    users: number;
    errors: number;
    duration_ns_p95: number | null;
    tokens: number | null;
    cost: { total?: number | null } | null;
    scores: Record<string, { count: number; avg: number | null }>;
    scores_cut: boolean;
  }[];
}

export function ExperimentsTab({ project }: { project: string }) {
  const { zone } = usePrefs();
  const queries = useQueryClient();
  const mayEdit = can(useProject(project)?.rights, "project.edit");
  const path = `/v1/projects/${part(project)}/experiments`;
  const [edited, setEdited] = useState<Experiment | "new" | null>(null);
  const [ending, setEnding] = useState<Experiment | null>(null);
  const experiments = useQuery({
    queryKey: ["experiments", project],
    queryFn: ({ signal }) => get<Items<Experiment>>(path, { limit: 200 }, signal),
  });
  const refresh = () => queries.invalidateQueries({ queryKey: ["experiments", project] });
  const all = experiments.data?.items ?? [];
  return (
    <div className="stack">
      <div className="row wrap">
        <p className="soft grow">
          Programs choose an arm for each user by the percentages, and say in the metadata of a trace which one it
          was.
        </p>
        {mayEdit && (
          <button type="button" className="button main" onClick={() => setEdited("new")}>
            <Icon name="plus" /> New experiment
          </button>
        )}
      </div>
      {experiments.isError ? (
        <Failure error={experiments.error} retry={() => experiments.refetch()} />
      ) : experiments.isPending ? (
        <Ghosts />
      ) : all.length === 0 ? (
        <Empty title="No experiment">
          <p>One compares prompts or models by what users of each get.</p>
        </Empty>
      ) : (
        all.map((experiment) => (
          <section key={experiment.id} className="card stack" aria-label={experiment.name}>
            <div className="row wrap">
              <h2 className="grow anywhere">{experiment.name}</h2>
              <span className="mono anywhere">{experiment.id}</span>
              <span className="soft" title={fullTime(experiment.updated_at, zone)}>
                changed {ago(experiment.updated_at)}
              </span>
              {mayEdit && (
                <>
                  <button type="button" className="button small" onClick={() => setEdited(experiment)}>
                    Edit
                  </button>
                  <button type="button" className="button small danger" onClick={() => setEnding(experiment)}>
                    Delete
                  </button>
                </>
              )}
            </div>
            <ByArm project={project} path={path} experiment={experiment} />
          </section>
        ))
      )}
      {edited !== null && (
        <ExperimentForm
          path={path}
          experiment={edited === "new" ? null : edited}
          close={() => setEdited(null)}
          done={() => {
            setEdited(null);
            toast("Experiment saved");
            void refresh();
          }}
        />
      )}
      <Confirm
        title={`Delete ${ending?.name}?`}
        open={ending !== null}
        close={() => setEnding(null)}
        yes="Delete"
        run={async () => {
          await del(`${path}/${part(ending?.id ?? "")}`);
          toast("Experiment deleted");
          await refresh();
        }}
      >
        <p>Programs that ask for it fail from now on. Traces keep what they say of it.</p>
      </Confirm>
    </div>
  );
}

function ByArm({ project, path, experiment }: { project: string; path: string; experiment: Experiment }) {
  const results = useQuery({
    queryKey: ["experiments", project, experiment.id, experiment.revision],
    queryFn: ({ signal }) => get<Results>(`${path}/${part(experiment.id)}/results`, {}, signal),
  });
  if (results.isError) {
    return <Failure error={results.error} retry={() => results.refetch()} />;
  }
  if (!results.data) {
    return <Ghosts lines={experiment.arms.length} />;
  }
  return (
    <Table label={`Arms of ${experiment.name}`}>
      <thead>
        <tr>
          <th>Arm</th>
          <th>Users</th>
          <th>Runs</th>
          <th>Errors</th>
          <th>95% below</th>
          <th>Tokens a run</th>
          <th>Cost</th>
          <th>Scores</th>
        </tr>
      </thead>
      <tbody>
        {results.data.arms.map((arm) => {
          const of = { experiment_id: experiment.id, experiment_arm_id: arm.id };
          const terms = Object.entries(of).map(([key, id]) => `metadata.${key}:${JSON.stringify(id)}`);
          const q = encodeURIComponent(terms.join(" "));
          return (
            <tr key={arm.id}>
              <td className="anywhere">
                {arm.name ?? arm.id}{" "}
                <span className="soft">{arm.traffic_pct === null ? "taken out" : `${arm.traffic_pct}%`}</span>
              </td>
              <td>{count(arm.users)}</td>
              <td>
                {arm.traces === 0 ? (
                  "0"
                ) : (
                  <Link href={`/p/${project}/traces?q=${q}`}>{count(arm.traces)}</Link>
                )}
              </td>
              <td>{count(arm.errors)}</td>
              <td>{duration(arm.duration_ns_p95)}</td>
              <td>{arm.tokens === null ? "–" : count(Math.round(arm.tokens / arm.traces))}</td>
              <td>{costText(arm.cost)}</td>
              <td>
                <div className="row wrap">
                  {Object.entries(arm.scores).map(([name, score]) => (
                    <span
                      key={name}
                      className="chip"
                      title={`${count(score.count)} scores${arm.scores_cut ? ", of the newest runs" : ""}`}
                    >
                      {name} {score.avg === null ? count(score.count) : score.avg.toFixed(2)}
                    </span>
                  ))}
                </div>
              </td>
            </tr>
          );
        })}
      </tbody>
    </Table>
  );
}

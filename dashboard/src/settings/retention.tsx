import { useEffect, useState } from "react";
import { ApiError } from "../api/client";
import { can, useProject } from "../shell/projects";
import { Failure, Field, Ghosts, messageOf, sentence } from "../ui/parts";
import { toast } from "../ui/toast";
import { type Rates, type Settings, useSettings } from "./governed";

const CLASSES: [keyof Settings["retention"], string][] = [
  ["traces_days", "Traces, steps and scores"],
  ["logs_days", "Log lines"],
  ["metrics_days", "Metric points"],
];
const RATES: [keyof Rates, string][] = [
  ["requests_per_second", "Requests that send"],
  ["spans_per_second", "Steps"],
  ["bytes_per_second", "Bytes"],
  ["queries_per_second", "Queries"],
];

const numberOr = (text: string) => (text.trim() === "" ? null : Number(text));

export function RetentionTab({ project }: { project: string }) {
  const { settings, save } = useSettings(project);
  const mayEdit = can(useProject(project)?.rights, "project.edit");
  const [typed, setTyped] = useState<Record<string, string>>({});
  const [wrong, setWrong] = useState<{ field: string; text: string } | null>(null);
  const data = settings.data;
  useEffect(() => {
    if (data) {
      const shown: Record<string, string> = {};
      for (const [key] of CLASSES) {
        shown[`retention.${key}`] = String(data.settings.retention[key] ?? "");
      }
      for (const who of ["project", "key"] as const) {
        for (const [key] of RATES) {
          shown[`limits.${who}.${key}`] = String(data.settings.limits[who][key] ?? "");
        }
      }
      setTyped(shown);
    }
  }, [data]);
  if (settings.isError) {
    return <Failure error={settings.error} retry={() => settings.refetch()} />;
  }
  if (!data) {
    return <Ghosts />;
  }
  const input = (path: string, label: string, unit: string) => (
    <Field key={path} label={label} wrong={wrong?.field.endsWith(path) ? wrong.text : null}>
      {(props) => (
        <span className="row">
          <input
            {...props}
            className="input short"
            type="number"
            min="1"
            placeholder="no limit"
            disabled={!mayEdit}
            value={typed[path] ?? ""}
            onChange={(event) => setTyped({ ...typed, [path]: event.target.value })}
          />
          <span className="soft">{unit}</span>
        </span>
      )}
    </Field>
  );
  const submit = async () => {
    setWrong(null);
    const rates = (who: string) =>
      Object.fromEntries(RATES.map(([key]) => [key, numberOr(typed[`limits.${who}.${key}`] ?? "")])) as Rates;
    try {
      await save({
        retention: Object.fromEntries(
          CLASSES.map(([key]) => [key, numberOr(typed[`retention.${key}`] ?? "")]),
        ) as Settings["retention"],
        limits: { project: rates("project"), key: rates("key") },
      });
      toast("Settings saved");
    } catch (error) {
      setWrong({
        field: error instanceof ApiError ? (error.problem.field ?? "") : "",
        text: messageOf(error),
      });
    }
  };
  return (
    <form
      className="stack"
      onSubmit={(event) => {
        event.preventDefault();
        void submit();
      }}
    >
      <section className="card stack">
        <h2>How long it is kept</h2>
        <p className="soft">
          Counted from when it happened or came, whichever is later. Empty keeps it for ever.
        </p>
        <div className="fields">{CLASSES.map(([key, name]) => input(`retention.${key}`, name, "days"))}</div>
      </section>
      <section className="card stack">
        <h2>How much may come, per second</h2>
        <p className="soft">What goes over is refused, and clients try again later.</p>
        <h3>The project</h3>
        <div className="fields">
          {RATES.map(([key, name]) => input(`limits.project.${key}`, name, "a second"))}
        </div>
        <h3>Each key</h3>
        <div className="fields">
          {RATES.map(([key, name]) => input(`limits.key.${key}`, name, "a second"))}
        </div>
      </section>
      {wrong && (
        <p className="wrong" role="alert">
          {sentence(wrong.text)}
        </p>
      )}
      {mayEdit && (
        <div className="dialog-foot">
          <button type="submit" className="button main">
            Save
          </button>
        </div>
      )}
    </form>
  );
}

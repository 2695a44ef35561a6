import { useEffect, useState } from "react";
import { part, post } from "../api/client";
import type { Json } from "../api/types";
import { can, useProject } from "../shell/projects";
import { count } from "../text/format";
import { Failure, Field, Ghosts, messageOf, sentence } from "../ui/parts";
import { toast } from "../ui/toast";
import { type Rules, useSettings } from "./governed";

const DETECTORS: [string, string][] = [
  ["api_keys", "Keys of AI, cloud, payment, chat and code hosting services"],
  ["tokens", "Bearer tokens and JSON web tokens"],
  ["aws_keys", "Keys of AWS"],
  ["private_keys", "Private keys in PEM and PGP form"],
  ["url_credentials", "User names and passwords in URLs"],
  ["secret_names", "Values under names such as password or authorization"],
  ["emails", "E-mail addresses"],
  ["cards", "Payment card numbers"],
  ["phones", "Telephone numbers; many other numbers look like them"],
  ["ibans", "International bank account numbers"],
];
const USUAL = DETECTORS.slice(0, 8).map(([name]) => name);
const EMPTY: Rules = { detectors: USUAL, patterns: [], keys: { deny: [], allow: [], exempt: [] } };
const LISTS: [keyof Rules["keys"], string, string][] = [
  ["deny", "Always taken out", "Values under these paths, whatever they are."],
  ["allow", "Kept although their name is suspicious", "The detectors still look at them."],
  ["exempt", "Never looked at", "Values under these paths stay as they are."],
];
const SAMPLE =
  "Write to ada@example.org, card 4111 1111 1111 1111, key sk-proj-abcdefghijklmnopqrstuvwx0123456789";

interface Previewed {
  found: Record<string, number>;
  refused: boolean;
  before: Json;
  after: Json;
  micros: number;
}

export function RedactionTab({ project }: { project: string }) {
  const { settings, save } = useSettings(project);
  const mayEdit = can(useProject(project)?.rights, "project.edit");
  const [rules, setRules] = useState<Rules | null>(null);
  const [wrong, setWrong] = useState<string | null>(null);
  const data = settings.data;
  useEffect(() => {
    if (data) {
      setRules(data.settings.redaction);
    }
  }, [data]);
  if (settings.isError) {
    return <Failure error={settings.error} retry={() => settings.refetch()} />;
  }
  if (!data) {
    return <Ghosts />;
  }
  const submit = async () => {
    setWrong(null);
    try {
      await save({ redaction: rules });
      toast("Rules saved: they hold for what comes from now on");
    } catch (error) {
      setWrong(messageOf(error));
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
      <label className="row">
        <input
          type="checkbox"
          disabled={!mayEdit}
          checked={rules !== null}
          onChange={() => setRules(rules === null ? EMPTY : null)}
        />
        <b>Take secrets and personal data out before anything is stored</b>
      </label>
      {rules && (
        <>
          <fieldset className="card plain-set" disabled={!mayEdit}>
            <legend className="label">What is found by itself</legend>
            {DETECTORS.map(([name, meaning]) => (
              <label key={name} className="row">
                <input
                  type="checkbox"
                  checked={rules.detectors.includes(name)}
                  onChange={() =>
                    setRules({
                      ...rules,
                      detectors: rules.detectors.includes(name)
                        ? rules.detectors.filter((one) => one !== name)
                        : [...rules.detectors, name],
                    })
                  }
                />
                {meaning}
              </label>
            ))}
          </fieldset>
          <section className="card stack">
            <h2>Patterns of your own</h2>
            {rules.patterns.map((pattern, at) => {
              const change = (to: Partial<Rules["patterns"][number]>) =>
                setRules({
                  ...rules,
                  patterns: rules.patterns.map((one, place) => (place === at ? { ...one, ...to } : one)),
                });
              return (
                <div key={at} className="row wrap">
                  <input
                    className="input short"
                    aria-label="Name of the pattern"
                    placeholder="name"
                    value={pattern.name}
                    onChange={(event) => change({ name: event.target.value })}
                  />
                  <input
                    className="input grow mono"
                    aria-label="Regular expression"
                    placeholder="regular expression"
                    value={pattern.pattern}
                    onChange={(event) => change({ pattern: event.target.value })}
                  />
                  <button
                    type="button"
                    className="button"
                    onClick={() =>
                      setRules({ ...rules, patterns: rules.patterns.filter((_, place) => place !== at) })
                    }
                  >
                    Remove
                  </button>
                </div>
              );
            })}
            <div>
              <button
                type="button"
                className="button"
                disabled={!mayEdit}
                onClick={() =>
                  setRules({ ...rules, patterns: [...rules.patterns, { name: "", pattern: "" }] })
                }
              >
                Add a pattern
              </button>
            </div>
          </section>
          <section className="card stack">
            <h2>By path</h2>
            {LISTS.map(([key, name, hint]) => (
              <Field key={key} label={name} hint={`${hint} One a line, such as metadata.customer.* `}>
                {(props) => (
                  <textarea
                    {...props}
                    className="input"
                    rows={2}
                    disabled={!mayEdit}
                    value={rules.keys[key].join("\n")}
                    onChange={(event) =>
                      setRules({ ...rules, keys: { ...rules.keys, [key]: event.target.value.split("\n") } })
                    }
                  />
                )}
              </Field>
            ))}
          </section>
          <Preview project={project} rules={rules} />
        </>
      )}
      {wrong && (
        <p className="wrong" role="alert">
          {sentence(wrong)}
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

function Preview({ project, rules }: { project: string; rules: Rules }) {
  const [text, setText] = useState(SAMPLE);
  const [answer, setAnswer] = useState<Previewed | null>(null);
  const [wrong, setWrong] = useState<string | null>(null);
  const run = async () => {
    setWrong(null);
    try {
      setAnswer(await post<Previewed>(`/v1/projects/${part(project)}/redaction/preview`, { rules, text }));
    } catch (error) {
      setAnswer(null);
      setWrong(messageOf(error));
    }
  };
  return (
    <section className="card stack">
      <h2>Try it</h2>
      <Field label="A text" hint="Nothing of it is stored." wrong={wrong}>
        {(props) => (
          <textarea
            {...props}
            className="input"
            value={text}
            onChange={(event) => setText(event.target.value)}
          />
        )}
      </Field>
      <div>
        <button type="button" className="button" onClick={run}>
          Show what would be stored
        </button>
      </div>
      {answer && (
        <div role="status" className="stack">
          <pre className="note">{answer.refused ? "It would be refused." : String(answer.after)}</pre>
          <p className="soft">
            {Object.entries(answer.found).length === 0
              ? "Nothing was found."
              : Object.entries(answer.found)
                  .map(([name, found]) => `${name} ${count(found)}`)
                  .join(", ")}
          </p>
        </div>
      )}
    </section>
  );
}

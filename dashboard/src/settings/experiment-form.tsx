import { useState } from "react";
import { ApiError, part, post, put } from "../api/client";
import { Dialog, Field, messageOf, sentence } from "../ui/parts";

export interface Arm {
  id: string;
  name: string;
  prompt_snapshot: string | null;
  model: string | null;
  traffic_pct: number;
}

export interface Experiment {
  id: string;
  name: string;
  arms: Arm[];
  revision: number;
  updated_at: string;
}

const NO_ARM: Arm = { id: "", name: "", prompt_snapshot: null, model: null, traffic_pct: 0 };
const ARMS = ["control", "variant"].map((id) => ({ ...NO_ARM, id, traffic_pct: 50 }));

// Makes an experiment, or changes one from the revision that is shown.
export function ExperimentForm({
  path,
  experiment,
  close,
  done,
}: {
  path: string;
  experiment: Experiment | null;
  close: () => void;
  done: () => void;
}) {
  const [id, setId] = useState("");
  const [name, setName] = useState(experiment?.name ?? "");
  const [arms, setArms] = useState(experiment?.arms ?? ARMS);
  const [wrong, setWrong] = useState<{ field: string; text: string } | null>(null);
  const sum = arms.reduce((sum, arm) => sum + arm.traffic_pct, 0);
  const at = (field: string) => (wrong?.field === field ? wrong.text : null);
  const change = (place: number, to: Partial<Arm>) =>
    setArms(arms.map((arm, other) => (other === place ? { ...arm, ...to } : arm)));
  const submit = async () => {
    setWrong(null);
    try {
      await (experiment
        ? put(`${path}/${part(experiment.id)}`, { revision: experiment.revision, name, arms })
        : post(path, { ...(id ? { id } : {}), name, arms }));
      done();
    } catch (error) {
      const field = error instanceof ApiError ? (error.problem.field ?? "") : "";
      setWrong({ field, text: messageOf(error) });
    }
  };
  return (
    <Dialog title={experiment ? `Change ${experiment.name}` : "New experiment"} open close={close} wide>
      <form
        className="stack"
        onSubmit={(event) => {
          event.preventDefault();
          void submit();
        }}
      >
        <Field label="Name" wrong={at("name")}>
          {(props) => (
            <input {...props} className="input" value={name} onChange={(event) => setName(event.target.value)} />
          )}
        </Field>
        {!experiment && (
          <Field label="Id" hint="What programs ask for. Empty: one is made." wrong={at("id")}>
            {(props) => (
              <input {...props} className="input" value={id} onChange={(event) => setId(event.target.value)} />
            )}
          </Field>
        )}
        {arms.map((arm, place) => (
          <fieldset key={place} className="card plain-set">
            <legend className="label">Arm {place + 1}</legend>
            <div className="fields">
              <Field label="Id of the arm" wrong={at(`arms[${place}].id`)}>
                {(props) => (
                  <input
                    {...props}
                    className="input"
                    value={arm.id}
                    onChange={(event) => change(place, { id: event.target.value })}
                  />
                )}
              </Field>
              <Field label="Name of the arm" hint="Empty: its id." wrong={at(`arms[${place}].name`)}>
                {(props) => (
                  <input
                    {...props}
                    className="input"
                    value={arm.name}
                    onChange={(event) => change(place, { name: event.target.value })}
                  />
                )}
              </Field>
              <Field label="Percent of users">
                {(props) => (
                  <input
                    {...props}
                    className="input short"
                    type="number"
                    min="0"
                    max="100"
                    value={arm.traffic_pct}
                    onChange={(event) => change(place, { traffic_pct: Number(event.target.value) })}
                  />
                )}
              </Field>
              <Field label="Model">
                {(props) => (
                  <input
                    {...props}
                    className="input"
                    value={arm.model ?? ""}
                    onChange={(event) => change(place, { model: event.target.value || null })}
                  />
                )}
              </Field>
            </div>
            <Field label="Prompt">
              {(props) => (
                <textarea
                  {...props}
                  className="input"
                  rows={3}
                  value={arm.prompt_snapshot ?? ""}
                  onChange={(event) => change(place, { prompt_snapshot: event.target.value || null })}
                />
              )}
            </Field>
            {arms.length > 1 && (
              <button
                type="button"
                className="button small"
                onClick={() => setArms(arms.filter((_, other) => other !== place))}
              >
                Take arm {place + 1} out
              </button>
            )}
          </fieldset>
        ))}
        <div className="row wrap">
          <button
            type="button"
            className="button small"
            onClick={() => setArms([...arms, NO_ARM])}
          >
            Add an arm
          </button>
          <span className={sum === 100 ? "soft" : "wrong"} role="status">
            {sum}% of users
          </span>
        </div>
        {experiment && (
          <p className="soft">Who changes percentages or the order of arms moves users to another arm.</p>
        )}
        {wrong && (
          <p className="wrong" role="alert">
            {sentence(wrong.text)}
          </p>
        )}
        <div className="dialog-foot">
          <button type="button" className="button" onClick={close}>
            Cancel
          </button>
          <button type="submit" className="button main">
            Save
          </button>
        </div>
      </form>
    </Dialog>
  );
}

// Scores of a trace or of a step, and giving one.
import { useQuery, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { get, part, post } from "../api/client";
import { at } from "../api/queries";
import type { Json, Me } from "../api/types";
import { useNamesIn } from "../shell/people";
import { usePrefs } from "../state/prefs";
import { time } from "../text/format";
import { Field, messageOf } from "../ui/parts";
import { Table } from "../ui/table";
import { toast } from "../ui/toast";

export interface Score {
  id?: string;
  trace_id?: string;
  span_id?: string | null;
  name: string | null;
  value: Json;
  comment?: string | null;
  user_id?: string | null;
  at?: string | null;
}

const shownValue = (value: Json) => (typeof value === "string" ? value : JSON.stringify(value));

export function Feedback({
  project,
  id,
  span,
  scores,
  changed,
}: {
  project: string;
  id: string;
  span: string | null;
  scores: Score[] | null;
  changed: () => void;
}) {
  const { zone } = usePrefs();
  const nameOf = useNamesIn(project);
  const own = useQuery({
    queryKey: ["scores", project, id],
    queryFn: async ({ signal }) =>
      (await get<{ scores?: Score[] }>(at(project, `/traces/${part(id)}`), {}, signal)).scores ?? [],
    enabled: scores === null,
  });
  const all = (scores ?? own.data ?? []).filter((score) => span === null || score.span_id === span);
  return (
    <div className="feedback stack">
      <ScoreForm
        project={project}
        id={id}
        span={span}
        done={() => {
          changed();
          void own.refetch();
        }}
      />
      {all.length === 0 ? (
        <p className="soft">Nobody has scored {span === null ? "this trace" : "this step"} yet.</p>
      ) : (
        <Table label="Scores">
          <thead>
            <tr>
              <th>Score</th>
              <th className="num">Value</th>
              <th>Comment</th>
              <th>By</th>
              <th>When</th>
            </tr>
          </thead>
          <tbody>
            {all.map((score, place) => (
              <tr key={score.id ?? place}>
                <td>
                  {score.name ?? ""}
                  {span === null && score.span_id && <div className="soft">of a step</div>}
                </td>
                <td className="num">{shownValue(score.value)}</td>
                <td className="anywhere">{score.comment}</td>
                <td className="anywhere">{nameOf(score.user_id)}</td>
                <td className="when">{time(score.at ?? null, zone)}</td>
              </tr>
            ))}
          </tbody>
        </Table>
      )}
      <Comments project={project} id={id} span={span} />
    </div>
  );
}

interface Comment {
  id: number;
  span_id: string | null;
  text: string;
  author: string;
  author_name: string | null;
  at: string;
}

function Comments({ project, id, span }: { project: string; id: string; span: string | null }) {
  const { zone } = usePrefs();
  const path = at(project, `/traces/${part(id)}/comments`);
  const me = useQueryClient().getQueryData<Me>(["me"]);
  const own = me && `user:${me.user_id}`;
  const [text, setText] = useState("");
  const [wrong, setWrong] = useState<string | null>(null);
  const comments = useQuery({
    queryKey: ["comments", project, id],
    queryFn: ({ signal }) => get<{ data: Comment[] }>(path, {}, signal),
  });
  const shown = (comments.data?.data ?? []).filter((one) => span === null || one.span_id === span);
  const save = async () => {
    setWrong(null);
    try {
      await post(path, { text, ...(span === null ? {} : { span_id: span }) });
      setText("");
      await comments.refetch();
    } catch (error) {
      setWrong(messageOf(error));
    }
  };
  return (
    <section className="stack">
      <h2>Comments</h2>
      {shown.map((one) => (
        <article key={one.id} className="note">
          <div className="soft num">
            <b title={one.author}>{one.author === own ? "You" : (one.author_name ?? one.author)}</b>, {time(one.at, zone)}
          </div>
          <p className="anywhere">{one.text}</p>
        </article>
      ))}
      <form
        className="stack"
        onSubmit={(event) => {
          event.preventDefault();
          void save();
        }}
      >
        <Field label="A comment for everybody here" wrong={wrong}>
          {(props) => (
            <textarea
              {...props}
              className="input prose"
              rows={3}
              value={text}
              onChange={(event) => setText(event.target.value)}
            />
          )}
        </Field>
        <div className="dialog-foot">
          <button type="submit" className="button" disabled={!text.trim()}>
            Comment
          </button>
        </div>
      </form>
    </section>
  );
}

// A number where it is one, so that it can be averaged; otherwise the label as it stands.
function scoreOf(text: string): number | string {
  const trimmed = text.trim();
  return trimmed !== "" && Number.isFinite(Number(trimmed)) ? Number(trimmed) : trimmed;
}

export function ScoreForm({
  project,
  id,
  span,
  done,
}: {
  project: string;
  id: string;
  span: string | null;
  done: () => void;
}) {
  const [typed, setTyped] = useState({ name: "quality", value: "", comment: "" });
  const [wrong, setWrong] = useState<string | null>(null);
  const [isBusy, setBusy] = useState(false);
  const save = async (value: number | string) => {
    setBusy(true);
    setWrong(null);
    try {
      await post(at(project, "/scores"), {
        trace_id: id,
        ...(span === null ? {} : { span_id: span }),
        name: typed.name,
        value,
        ...(typed.comment ? { comment: typed.comment } : {}),
      });
      setTyped({ ...typed, value: "", comment: "" });
      toast("Score saved");
      done();
    } catch (error) {
      setWrong(messageOf(error));
    }
    setBusy(false);
  };
  return (
    <form
      className="score-form"
      onSubmit={(event) => {
        event.preventDefault();
        void save(scoreOf(typed.value));
      }}
    >
      <Field label="Score">
        {(props) => (
          <input
            {...props}
            className="input"
            required
            value={typed.name}
            onChange={(event) => setTyped({ ...typed, name: event.target.value })}
          />
        )}
      </Field>
      <Field label="Value" hint="A number or a label.">
        {(props) => (
          <input
            {...props}
            className="input"
            required
            value={typed.value}
            onChange={(event) => setTyped({ ...typed, value: event.target.value })}
          />
        )}
      </Field>
      <Field label="Comment" wrong={wrong}>
        {(props) => (
          <input
            {...props}
            className="input"
            value={typed.comment}
            onChange={(event) => setTyped({ ...typed, comment: event.target.value })}
          />
        )}
      </Field>
      <div className="row score-does">
        <button type="submit" className="button main" disabled={isBusy}>
          Save
        </button>
        <button
          type="button"
          className="button"
          disabled={isBusy || !typed.name}
          onClick={() => void save(1)}
        >
          Good
        </button>
        <button
          type="button"
          className="button"
          disabled={isBusy || !typed.name}
          onClick={() => void save(0)}
        >
          Bad
        </button>
      </div>
    </form>
  );
}

// Traces side by side, or two sets of traces by how they differ.
import { useQuery } from "@tanstack/react-query";
import { useEffect, useState } from "react";
import { Link } from "wouter";
import { post } from "../api/client";
import { at } from "../api/queries";
import type { Json } from "../api/types";
import { term } from "../state/filter";
import { useParams } from "../state/url";
import { count } from "../text/format";
import { Empty, Failure, Field, Ghosts } from "../ui/parts";
import { Table } from "../ui/table";
import { idsIn, idsText } from "./ids";
import { Traces } from "./traces";

export default function ComparePage({ project }: { project: string }) {
  const [params] = useParams();
  useEffect(() => {
    document.title = "Compare · obsrv";
  }, []);
  const ids = idsIn(params.ids ?? "");
  return ids.length > 1 ? (
    <Traces key={params.ids} project={project} ids={ids} />
  ) : ids[0] ? (
    <ChooseOther first={ids[0]} />
  ) : (
    <TwoSets project={project} />
  );
}

function ChooseOther({ first }: { first: string }) {
  const [, set] = useParams();
  const [typed, setTyped] = useState("");
  return (
    <div className="page">
      <h1>Compare with which trace?</h1>
      <p className="soft">
        The first is <code>{first}</code>. In the list of traces, those that are chosen can be compared, too.
      </p>
      <form
        className="card stack"
        onSubmit={(event) => {
          event.preventDefault();
          set({ ids: idsText([first, typed.trim()]) });
        }}
      >
        <Field label="Id of the other trace">
          {(props) => (
            <input
              {...props}
              className="input mono"
              required
              value={typed}
              onChange={(event) => setTyped(event.target.value)}
            />
          )}
        </Field>
        <div className="dialog-foot">
          <button type="submit" className="button main">
            Compare
          </button>
        </div>
      </form>
    </div>
  );
}

interface Difference {
  key: string;
  value: Json;
  a_share: number;
  b_share: number;
}

interface Compared {
  a_rows: number;
  b_rows: number;
  data: Difference[];
}

function TwoSets({ project }: { project: string }) {
  const [params, set] = useParams();
  const [typed, setTyped] = useState({ a: params.qa ?? "status:error", b: params.qb ?? "-status:error" });
  const { qa, qb } = params;
  const answer = useQuery({
    queryKey: ["compare", project, qa, qb],
    queryFn: ({ signal }) =>
      post<Compared>(
        at(project, "/compare"),
        { a: { q: qa ?? "" }, b: { q: qb ?? "" }, over: "traces" },
        signal,
      ),
    enabled: qa !== undefined && qb !== undefined,
  });
  const rows = answer.data?.data ?? [];
  const share = (row: Difference, side: "a" | "b") => Math.min(1, Math.max(0, row[`${side}_share`]));
  return (
    <div className="page wide">
      <h1>What differs between two sets of traces</h1>
      <form
        className="card set-form"
        onSubmit={(event) => {
          event.preventDefault();
          set({ qa: typed.a, qb: typed.b || " " });
        }}
      >
        <Field label="Set A, as a search">
          {(props) => (
            <input
              {...props}
              className="input mono"
              value={typed.a}
              onChange={(event) => setTyped({ ...typed, a: event.target.value })}
            />
          )}
        </Field>
        <Field label="Set B, as a search">
          {(props) => (
            <input
              {...props}
              className="input mono"
              value={typed.b}
              onChange={(event) => setTyped({ ...typed, b: event.target.value })}
            />
          )}
        </Field>
        <button type="submit" className="button main">
          Compare
        </button>
      </form>
      {answer.isError ? (
        <Failure error={answer.error} retry={() => answer.refetch()} />
      ) : answer.isFetching ? (
        <Ghosts lines={10} height={22} />
      ) : !answer.data ? (
        <Empty title="Two searches, one question">
          <p>For example what failed runs have that good ones do not: customers, versions, tools, models.</p>
        </Empty>
      ) : rows.length === 0 ? (
        <Empty title="They do not differ">
          <p>No key has other values in the one set than in the other.</p>
        </Empty>
      ) : (
        <Table label="Where they differ">
          <thead>
            <tr>
              <th>Key</th>
              <th>Value</th>
              <th>Share of {count(answer.data.a_rows)} in A</th>
              <th>Share of {count(answer.data.b_rows)} in B</th>
            </tr>
          </thead>
          <tbody>
            {rows.map((row) => (
              <tr key={`${row.key} ${JSON.stringify(row.value)}`}>
                <td className="anywhere">{row.key}</td>
                <td className="anywhere">
                  <Link href={`/p/${project}/traces?q=${encodeURIComponent(term(row.key, row.value))}`}>
                    {typeof row.value === "string" ? row.value : JSON.stringify(row.value)}
                  </Link>
                </td>
                {(["a", "b"] as const).map((side) => (
                  <td key={side}>
                    <span className="share num">
                      <span
                        className={`share-bar ${side}`}
                        style={{ width: `${100 * share(row, side)}%` }}
                      />
                      <span>{(100 * share(row, side)).toFixed(1)}%</span>
                    </span>
                  </td>
                ))}
              </tr>
            ))}
          </tbody>
        </Table>
      )}
    </div>
  );
}

// What a run took, broken down: tokens by what they were, tokens and cost by model.
import { useQuery } from "@tanstack/react-query";
import { useMemo } from "react";
import { get, part } from "../api/client";
import { at } from "../api/queries";
import type { Tokens, Trace } from "../api/types";
import { compact, count, money, plural } from "../text/format";
import { Table } from "../ui/table";
import type { Steps } from "./columns";

interface Bill {
  total: number | null;
  is_complete: boolean;
  stated: number;
  priced: number;
  unknown: number;
  table: { date: string };
  data: { span_id: string; model: string | null; source: string; cost: number | null }[];
}

interface OfModel {
  model: string;
  calls: number;
  tokens: number;
  cost: number | null;
}

const PARTS: [keyof Tokens, string][] = [
  ["input", "input"],
  ["cached", "read from a cache"],
  ["cache_write", "written to a cache"],
  ["output", "output"],
  ["reasoning", "reasoning"],
];
// Of a larger trace every step would be read for it.
const STEPS_MAX = 20_000;

export function TokenParts({ tokens }: { tokens: Tokens | null | undefined }) {
  const parts = PARTS.filter(([key]) => (tokens?.[key] ?? 0) > 0);
  return parts.length === 0 ? null : (
    <dl className="facts flat">
      {parts.map(([key, name]) => (
        <div key={key}>
          <dt>{name}</dt>
          <dd className="num">{count(tokens?.[key])}</dd>
        </div>
      ))}
    </dl>
  );
}

function byModel(steps: Steps, bill: Bill | undefined): OfModel[] {
  const found = new Map<string, OfModel>();
  const of = (model: string) => {
    const own = found.get(model) ?? { model, calls: 0, tokens: 0, cost: null };
    found.set(model, own);
    return own;
  };
  steps.model.forEach((model, place) => {
    if (model) {
      const own = of(model);
      own.calls++;
      own.tokens += steps.tokens[place] ?? 0;
    }
  });
  for (const { model, source, cost } of bill?.data ?? []) {
    if (model && cost !== null && source !== "roll_up") {
      const own = of(model);
      own.cost = (own.cost ?? 0) + cost;
    }
  }
  return [...found.values()].sort((a, b) => (b.cost ?? 0) - (a.cost ?? 0) || b.tokens - a.tokens);
}

export function Spent({
  project,
  id,
  trace,
  steps,
}: {
  project: string;
  id: string;
  trace: Trace;
  steps: Steps;
}) {
  const isUsed = (trace.tokens?.total ?? 0) > 0;
  const bill = useQuery({
    queryKey: ["cost", project, id],
    queryFn: ({ signal }) => get<Bill>(at(project, `/traces/${part(id)}/cost`), {}, signal),
    enabled: isUsed && steps.count <= STEPS_MAX,
  });
  const models = useMemo(() => byModel(steps, bill.data), [steps, bill.data]);
  if (!isUsed) {
    return null;
  }
  return (
    <section className="stack">
      <h3>Tokens and cost</h3>
      <TokenParts tokens={trace.tokens} />
      {models.length > 0 && (
        <Table label="Tokens and cost by model">
          <thead>
            <tr>
              <th>Model</th>
              <th className="num">Calls</th>
              <th className="num">Tokens</th>
              <th className="num">Cost</th>
            </tr>
          </thead>
          <tbody>
            {models.map(({ model, calls, tokens, cost }) => (
              <tr key={model}>
                <td className="anywhere">{model}</td>
                <td className="num">{count(calls)}</td>
                <td className="num">{compact(tokens)}</td>
                <td className="num">{money(cost)}</td>
              </tr>
            ))}
          </tbody>
        </Table>
      )}
      {bill.data && <p className="soft num">{told(bill.data)}</p>}
    </section>
  );
}

function told({ total, stated, priced, unknown, is_complete, table }: Bill): string {
  const parts = [
    stated > 0 ? `${money(stated)} as the sender says` : "",
    priced > 0 ? `${money(priced)} by the prices of ${table.date.slice(0, 10)}` : "",
    unknown > 0 ? `${plural(unknown, "step")} whose price is not known` : "",
  ].filter(Boolean);
  const sum = total === null ? "Cost not known" : `${is_complete ? "" : "At least "}${money(total)}`;
  const isOne = parts.length === 1 && unknown === 0 && total !== null;
  return isOne ? `${parts[0]}.` : parts.length > 0 ? `${sum}: ${parts.join(", ")}.` : `${sum}.`;
}

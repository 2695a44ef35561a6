// Values of the keys that people narrow by, each with how many traces have it. A key that the search
// already narrows is counted as if it did not, so that its other values stay in sight.
import { useMemo, useState } from "react";
import { type Scope, useFacets, useKeys } from "../api/queries";
import type { FacetAnswer } from "../api/types";
import { chosenOf, has, isScore, own, term, toggledValue, valueText, without, withTerm } from "../state/filter";
import { setPrefs, usePrefs } from "../state/prefs";
import { count } from "../text/format";
import { Failure, Ghosts, Icon, Menu, Status } from "../ui/parts";

const USUAL = [
  "status",
  "environment",
  "region",
  "service",
  "version",
  "release",
  "rollup.models",
  "rollup.tools",
  "tags",
  "user_id",
];
const METADATA_SHOWN = 4;
const SCORES_SHOWN = 3;
const VALUES_SHOWN = 6;

export function Facets({
  project,
  scope,
  q,
  isWrong,
  onChange,
}: {
  project: string;
  // What is counted.
  scope: Scope;
  // The search as it is now.
  q: string;
  isWrong: boolean;
  onChange: (q: string) => void;
}) {
  const prefs = usePrefs();
  const known = useKeys(project);
  // Keys are asked for with commas between them.
  const names = useMemo(
    () => (known.data?.keys ?? []).map((one) => one.key).filter((key) => !key.includes(",")),
    [known.data],
  );
  const counted = scope.q ?? "";
  const keys = useMemo(() => {
    const metadata = names.filter((name) => name.startsWith("metadata.")).slice(0, METADATA_SHOWN);
    // Whoever searches by a score sees its other values, too, however many scores there are.
    const scores = names.filter(isScore).filter((name, n) => n < SCORES_SHOWN || own(counted, name));
    return prefs.facets ?? [...USUAL.filter((name) => names.includes(name)), ...metadata, ...scores];
  }, [prefs.facets, names, counted]);
  const narrowed = keys.filter((key) => own(counted, key));
  const others = keys.filter((key) => !own(counted, key));
  const plain = others.filter((key) => !isScore(key));
  const rest = useFacets(project, scope, plain);
  // Scores may be many: no other key waits for them, or fails with them.
  const scores = useFacets(project, scope, others.filter(isScore));
  const shown = keys.filter((key) => !narrowed.includes(key));
  const setKeys = (next: string[]) => setPrefs({ facets: next });
  return (
    <>
      {narrowed.map((key) => (
        <Narrowed key={key} project={project} scope={scope} q={q} facetKey={key} onChange={onChange} />
      ))}
      {known.isPending || (rest.isPending && plain.length > 0) ? (
        <Ghosts lines={10} />
      ) : isWrong ? (
        <p className="soft">Counts come with a search that reads.</p>
      ) : rest.isError && !rest.data ? (
        <Failure error={rest.error} retry={() => rest.refetch()} />
      ) : (
        shown.map((key) => {
          const from = isScore(key) ? scores : rest;
          const facet = from.data?.facets.find((one) => one.key === key);
          return facet?.cut || (facet && facet.values.length > 0) ? (
            <Facet key={key} facet={facet} q={q} onChange={onChange} isStale={from.isPlaceholderData} />
          ) : null;
        })
      )}
      {!isWrong && scores.isError && !scores.data && (
        <Failure error={scores.error} retry={() => scores.refetch()} />
      )}
      <Menu
        className="button plain small"
        label={
          <>
            <Icon name="plus" /> Facets
          </>
        }
      >
        {() => (
          <>
            <div className="menu-label">Keys to show values of</div>
            {[...new Set([...keys, ...names])].slice(0, 100).map((name) => (
              <label key={name} className="menu-item">
                <input
                  type="checkbox"
                  checked={keys.includes(name)}
                  onChange={() =>
                    setKeys(keys.includes(name) ? keys.filter((one) => one !== name) : [...keys, name])
                  }
                />
                <span className="cut">{name}</span>
              </label>
            ))}
          </>
        )}
      </Menu>
    </>
  );
}

function Narrowed({
  project,
  scope,
  q,
  facetKey,
  onChange,
}: {
  project: string;
  scope: Scope;
  q: string;
  facetKey: string;
  onChange: (q: string) => void;
}) {
  const counted = scope.q ?? "";
  const mine = own(counted, facetKey);
  const wider = mine ? without(counted, mine) : counted;
  const keys = useMemo(() => [facetKey], [facetKey]);
  const answer = useFacets(project, { ...scope, q: wider }, keys);
  const facet = answer.data?.facets[0];
  if (!facet) {
    return null;
  }
  return <Facet facet={facet} q={q} onChange={onChange} isStale={answer.isPlaceholderData} />;
}

function Facet({
  facet,
  q,
  onChange,
  isStale,
}: {
  facet: FacetAnswer["facets"][number];
  q: string;
  onChange: (q: string) => void;
  isStale: boolean;
}) {
  const [isWhole, setWhole] = useState(false);
  const { key } = facet;
  const chosen = chosenOf(q, key);
  const most = Math.max(1, ...facet.values.map((value) => value.count));
  const values = isWhole ? facet.values : facet.values.slice(0, VALUES_SHOWN);
  return (
    <section className={`facet ${isStale ? "is-stale" : ""}`} aria-label={key}>
      <h2>{key.replace(/^(metadata|rollup|resource)\./, "")}</h2>
      <ul>
        {values.map(({ value, count: rows }) => {
          const isChosen = chosen.includes(valueText(value));
          const name = typeof value === "string" ? value : JSON.stringify(value);
          const excluding = term(key, value, true);
          const isExcluded = has(q, excluding);
          return (
            <li key={name} className={isExcluded ? "is-out" : ""}>
              <button
                type="button"
                className="facet-value"
                aria-pressed={isChosen}
                title={name}
                onClick={() => onChange(toggledValue(q, key, value))}
              >
                <span className="facet-bar" style={{ width: `${(100 * rows) / most}%` }} />
                <span className="grow cut">
                  {key === "status" ? <Status status={name} /> : name || "(empty)"}
                </span>
                <span className="num soft">{count(rows)}</span>
              </button>
              <button
                type="button"
                className="facet-out"
                aria-label={`${isExcluded ? "No longer without" : "Without"} ${key} ${name}`}
                aria-pressed={isExcluded}
                title={`Without ${name}`}
                onClick={() => onChange(isExcluded ? without(q, excluding) : withTerm(q, excluding))}
              >
                <Icon name="minus" />
              </button>
            </li>
          );
        })}
      </ul>
      {facet.values.length > VALUES_SHOWN && (
        <button type="button" className="button plain small" onClick={() => setWhole(!isWhole)}>
          {isWhole ? "Fewer" : `${facet.values.length - VALUES_SHOWN} more`}
        </button>
      )}
      {facet.cut && <p className="soft facet-rest">Too many scores to count. Choose less time.</p>}
      {(isWhole || facet.values.length <= VALUES_SHOWN) && (facet.other ?? 0) > 0 && (
        <p className="soft facet-rest">{count(facet.other)} with other values</p>
      )}
    </section>
  );
}

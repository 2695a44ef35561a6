// The search: an input with completion of keys and values. What is wrong is said under it, with the
// place, by the server that parses it.
import { type RefObject, useEffect, useId, useMemo, useState } from "react";
import type { Problem } from "../api/client";
import { useKeys, useValues } from "../api/queries";
import { nameText, typingAt, valueText } from "../state/filter";
import { compact } from "../text/format";
import { Icon, sentence } from "../ui/parts";

interface Choice {
  text: string;
  insert: string;
  note: string;
  start: number;
  end: number;
}

const EXAMPLES: [string, string][] = [
  ["status:error", "runs that failed"],
  ["duration>10s", "slow runs"],
  ["cost>0.5", "expensive runs"],
  ['"rate limit"', "these words anywhere"],
  ["{kind:tool status:error}", "some tool call failed"],
  ["has:scores", "runs that somebody scored"],
];
const HISTORY_MAX = 8;
const CALM_MS = 90;

function history(project: string): string[] {
  try {
    return JSON.parse(sessionStorage.getItem(`obsrv.searches.${project}`) ?? "[]") as string[];
  } catch {
    return [];
  }
}

function remember(project: string, search: string) {
  if (search) {
    const all = [search, ...history(project).filter((one) => one !== search)].slice(0, HISTORY_MAX);
    sessionStorage.setItem(`obsrv.searches.${project}`, JSON.stringify(all));
  }
}

export function SearchBar({
  project,
  value,
  onChange,
  problem,
  input,
  name = "Search traces",
  placeholder = "Search: status:error metadata.customer:acme “rate limit”",
  examples = EXAMPLES,
  over = "traces",
}: {
  project: string;
  value: string;
  onChange: (next: string) => void;
  problem: Problem | null;
  input: RefObject<HTMLInputElement | null>;
  name?: string;
  placeholder?: string;
  examples?: [string, string][];
  over?: string;
}) {
  const [text, setText] = useState(value);
  const [cursor, setCursor] = useState(value.length);
  const [isOpen, setOpen] = useState(false);
  const [at, setAt] = useState(-1);
  const id = useId();
  // takes up what the address says
  useEffect(() => {
    if (value.trim() !== text.trim()) {
      setText(value);
      setCursor(value.length);
    }
  }, [value]);
  const choices = useChoices(project, text, cursor, isOpen, examples, over);
  const run = (search: string) => {
    setOpen(false);
    setAt(-1);
    remember(project, search.trim());
    onChange(search.trim());
  };
  const take = (choice: Choice) => {
    const next = text.slice(0, choice.start) + choice.insert + text.slice(choice.end);
    const place = choice.start + choice.insert.length;
    setText(next);
    setAt(-1);
    if (choice.insert.endsWith(":")) {
      setCursor(place);
      requestAnimationFrame(() => input.current?.setSelectionRange(place, place));
    } else {
      run(next);
    }
  };
  const wrong = problem ? explained(problem) : null;
  return (
    <div className="search grow">
      <div className={`search-box ${problem ? "is-wrong" : ""}`}>
        <Icon name="search" />
        <input
          ref={input}
          type="text"
          spellCheck={false}
          autoComplete="off"
          autoCapitalize="off"
          role="combobox"
          aria-label={name}
          aria-expanded={isOpen && choices.length > 0}
          aria-controls={`${id}-list`}
          aria-activedescendant={at >= 0 ? `${id}-${at}` : undefined}
          aria-invalid={problem !== null}
          aria-describedby={problem ? `${id}-wrong` : undefined}
          placeholder={placeholder}
          value={text}
          onChange={(event) => {
            setText(event.target.value);
            setCursor(event.target.selectionStart ?? event.target.value.length);
            setOpen(true);
            setAt(-1);
          }}
          onSelect={(event) => setCursor(event.currentTarget.selectionStart ?? 0)}
          onFocus={() => setOpen(true)}
          onBlur={() => setOpen(false)}
          onKeyDown={(event) => {
            if (event.key === "ArrowDown" || event.key === "ArrowUp") {
              event.preventDefault();
              setOpen(true);
              const step = event.key === "ArrowDown" ? 1 : -1;
              const next = at + step;
              setAt(next < -1 ? choices.length - 1 : next >= choices.length ? -1 : next);
            } else if (event.key === "Enter") {
              event.preventDefault();
              const choice = choices[at];
              if (isOpen && choice) {
                take(choice);
              } else {
                run(text);
              }
            } else if (event.key === "Tab" && isOpen && choices[Math.max(at, 0)] && text && at >= 0) {
              event.preventDefault();
              take(choices[at] as Choice);
            } else if (event.key === "Escape") {
              if (isOpen && choices.length > 0) {
                setOpen(false);
              } else {
                event.currentTarget.blur();
              }
            }
          }}
        />
        {text && (
          <button
            type="button"
            className="button plain icon small"
            aria-label="Clear the search"
            onClick={() => {
              setText("");
              run("");
            }}
          >
            <Icon name="close" />
          </button>
        )}
      </div>
      {isOpen && choices.length > 0 && (
        <div id={`${id}-list`} className="search-list" role="listbox" aria-label="Suggestions">
          {choices.map((choice, place) => (
            <div
              key={`${choice.text} ${choice.note}`}
              id={`${id}-${place}`}
              role="option"
              tabIndex={-1}
              aria-selected={place === at}
              className="menu-item"
              // The input would lose the focus before a click is one.
              onMouseDown={(event) => {
                event.preventDefault();
                take(choice);
              }}
            >
              <span className="grow cut mono">{choice.text}</span>
              <span className="soft num">{choice.note}</span>
            </div>
          ))}
        </div>
      )}
      {problem && !isOpen && (
        <div id={`${id}-wrong`} className="search-wrong" role="alert">
          {wrong?.where != null && (
            <pre aria-hidden="true">
              {value.slice(0, wrong.where)}
              <mark>{value.slice(wrong.where, wrong.where + 1) || " "}</mark>
              {value.slice(wrong.where + 1)}
            </pre>
          )}
          {wrong?.text}
        </div>
      )}
    </div>
  );
}

// What the parser says, for people: its values stand at the end, as `at=13 expected=, or )`.
function explained(problem: Problem): { where: number | null; text: string } {
  const place = problem.position ?? Number(/ at=(\d+)/.exec(problem.message)?.[1] ?? Number.NaN);
  const expected =
    problem.expected ?? / expected=(.+?)(?: [a-z_]+=|$)/.exec(problem.message)?.[1];
  const meant = problem.did_you_mean ?? / did_you_mean=(\S+)/.exec(problem.message)?.[1];
  const said = problem.message.replace(/ (at|expected|did_you_mean)=.*$/, "");
  const parts = [sentence(said)];
  if (expected) {
    parts.push(`Expected here: ${expected}.`);
  }
  if (meant) {
    parts.push(`Did you mean ${meant}?`);
  }
  return { where: Number.isNaN(place) ? null : place, text: parts.join(" ") };
}

function useCalm<T>(value: T, ms: number): T {
  const [calm, setCalm] = useState(value);
  useEffect(() => {
    const timer = window.setTimeout(() => setCalm(value), ms);
    return () => window.clearTimeout(timer);
  }, [value, ms]);
  return calm;
}

function useChoices(
  project: string,
  text: string,
  cursor: number,
  isOpen: boolean,
  shown: [string, string][],
  over: string,
): Choice[] {
  const typing = useMemo(() => typingAt(text, cursor), [text, cursor]);
  const isKey = typing.kind === "key";
  const keys = useKeys(project, "", 500, over, isOpen);
  const isValue = isOpen && !isKey && typing.key !== "";
  // Not at each key: whoever types on wants another answer.
  const typed = useCalm(typing, CALM_MS);
  const values = useValues(project, typed.key, typed.prefix, isValue && typed.key === typing.key, over);
  const known = keys.data?.keys;
  return useMemo(() => {
    const { start, end, prefix } = typing;
    if (!text.trim()) {
      const past = history(project).map((one) => ({
        text: one,
        insert: one,
        note: "before",
        start: 0,
        end: text.length,
      }));
      const examples = shown.map(([one, note]) => ({
        text: one,
        insert: one,
        note,
        start: 0,
        end: text.length,
      }));
      return [...past, ...examples];
    }
    if (isKey) {
      if (!prefix) {
        return [];
      }
      const wanted = prefix.toLowerCase();
      const rank = (key: string) => (key.toLowerCase().startsWith(wanted) ? 0 : 1);
      return (known ?? [])
        .filter(({ key }) => key.toLowerCase().includes(wanted))
        .sort((a, b) => rank(a.key) - rank(b.key) || (b.rows ?? 0) - (a.rows ?? 0))
        .slice(0, 12)
        .map(({ key, rows }) => ({
          text: key,
          insert: `${nameText(key)}:`,
          note: rows === undefined || rows === null ? "" : compact(rows),
          start,
          end,
        }));
    }
    return (values.data?.values ?? []).map(({ value, count }) => ({
      text: typeof value === "string" ? value : JSON.stringify(value),
      insert: valueText(value),
      note: compact(count),
      start,
      end,
    }));
  }, [typing, isKey, known, values.data, shown, project, text]);
}

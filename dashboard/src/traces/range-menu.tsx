import { useState } from "react";
import { usePrefs } from "../state/prefs";
import { RANGES } from "../state/time";
import { time } from "../text/format";
import { Field, Icon, Menu } from "../ui/parts";

export function RangeMenu({
  from,
  to,
  onChange,
}: {
  from: string;
  to: string;
  onChange: (range: { from: string | null; to: string | null }) => void;
}) {
  const { zone } = usePrefs();
  const name = !to ? RANGES.find(([start]) => start === from)?.[1] : undefined;
  const one = (text: string) => (text.startsWith("-") || text === "now" ? text : time(text, zone));
  const label = name ?? `${from ? one(from) : "…"} – ${to ? one(to) : "now"}`;
  return (
    <Menu
      label={
        <>
          <span className="cut">{label}</span>
          <Icon name="down" />
        </>
      }
      title={`Time: ${label}`}
    >
      {(close) => (
        <>
          {RANGES.map(([start, text]) => (
            <button
              key={text}
              type="button"
              className="menu-item"
              aria-pressed={!to && start === from}
              onClick={() => {
                close();
                onChange({ from: start || null, to: null });
              }}
            >
              <span className="grow">{text}</span>
              {!to && start === from && <Icon name="review" />}
            </button>
          ))}
          <Custom
            from={from}
            to={to}
            onChange={(range) => {
              close();
              onChange(range);
            }}
          />
        </>
      )}
    </Menu>
  );
}

function Custom({
  from,
  to,
  onChange,
}: {
  from: string;
  to: string;
  onChange: (range: { from: string | null; to: string | null }) => void;
}) {
  const [typed, setTyped] = useState({ from, to });
  const isGood = (text: string) =>
    !text || /^-\d+[smhd]$/.test(text) || text === "now" || !Number.isNaN(Date.parse(text));
  const wrong = (text: string) => (isGood(text) ? null : "not a time like -3h or 2026-01-31T10:00:00Z");
  return (
    <form
      className="stack menu-form"
      onSubmit={(event) => {
        event.preventDefault();
        if (isGood(typed.from) && isGood(typed.to)) {
          onChange({ from: typed.from || null, to: typed.to || null });
        }
      }}
    >
      <Field label="From" wrong={wrong(typed.from)}>
        {(props) => (
          <input
            {...props}
            className="input"
            placeholder="-3h, 2026-01-31"
            value={typed.from}
            onChange={(event) => setTyped({ ...typed, from: event.target.value.trim() })}
          />
        )}
      </Field>
      <Field label="To" wrong={wrong(typed.to)}>
        {(props) => (
          <input
            {...props}
            className="input"
            placeholder="now"
            value={typed.to}
            onChange={(event) => setTyped({ ...typed, to: event.target.value.trim() })}
          />
        )}
      </Field>
      <button type="submit" className="button">
        Look at this time
      </button>
    </form>
  );
}

// Whatever was stored, shown as what it is: prose, code, a table, JSON, or text as it stands.
import { useMemo, useState } from "react";
import type { Json } from "../api/types";
import { later } from "../ui/later";
import { CopyButton } from "../ui/parts";
import { FileList, isOnlyMeant, Meant, meantIn, useFiles } from "./attached";
import { CodeLines, looksLikeCode } from "./code";
import { JsonView } from "./json-view";
import { MediaList, MediaView, mediaOfText } from "./media";
import { RowTable, rowsOf } from "./rows";

const Markdown = later(
  () => import("./markdown"),
  ({ text }: { text: string }) => <pre className="text">{text}</pre>,
);

const SHOWN = 20_000;

function parsed(text: string): Json | undefined {
  const start = text.trimStart()[0];
  if (start !== "{" && start !== "[") {
    return undefined;
  }
  try {
    return JSON.parse(text) as Json;
  } catch {
    return undefined;
  }
}

const looksLikeMarkdown = (text: string) =>
  /(^|\n)(#{1,6} |[-*] |\d+\. |> |```|\|.+\|)|\*\*[^*]+\*\*|`[^`]+`|\[[^\]]+\]\([^)]+\)/.test(text);

// In which ways a value can be looked at, and which of them was chosen.
function useKind(kinds: string[]): [string, React.ReactNode] {
  const [chosen, setChosen] = useState<string | null>(null);
  const kind = chosen && kinds.includes(chosen) ? chosen : (kinds[0] ?? "");
  const choice =
    kinds.length > 1 &&
    kinds.map((one) => (
      <button
        key={one}
        type="button"
        className="value-kind"
        aria-pressed={one === kind}
        onClick={() => setChosen(one)}
      >
        {one}
      </button>
    ));
  return [kind, choice];
}

export function Value({
  value,
  label,
  onFilter,
}: {
  value: Json | undefined;
  label: string;
  onFilter?: (path: string, value: Json, exclude: boolean) => void;
}) {
  if (value === undefined || value === null || value === "") {
    return <p className="soft">Nothing</p>;
  }
  if (typeof value === "string") {
    return <TextValue text={value} label={label} />;
  }
  if (typeof value !== "object") {
    return <code>{String(value)}</code>;
  }
  return <TreeValue value={value} label={label} onFilter={onFilter} />;
}

function TreeValue({
  value,
  label,
  onFilter,
}: {
  value: Json;
  label: string;
  onFilter?: (path: string, value: Json, exclude: boolean) => void;
}) {
  const rows = useMemo(() => rowsOf(value), [value]);
  const [kind, choice] = useKind(rows ? ["Table", "JSON"] : ["JSON"]);
  return (
    <div className="value">
      <div className="value-does">
        {choice}
        <CopyButton text={JSON.stringify(value, null, 2)} label={`Copy ${label}`} />
      </div>
      <MediaList value={value} label={label} />
      <Meant value={value} />
      {rows && kind === "Table" ? (
        <RowTable rows={rows} label={label} />
      ) : (
        <JsonView value={value} label={label} onFilter={onFilter} />
      )}
    </div>
  );
}

function TextValue({ text, label }: { text: string; label: string }) {
  const json = useMemo(() => parsed(text), [text]);
  const rows = useMemo(() => rowsOf(json), [json]);
  const media = mediaOfText(text);
  const files = meantIn(text, useFiles());
  const shortened = text.slice(0, SHOWN);
  const kinds = useMemo(
    () => [
      ...(rows ? ["Table"] : []),
      ...(json === undefined ? [] : ["JSON"]),
      ...(json === undefined && looksLikeCode(shortened) ? ["Code"] : []),
      ...(json === undefined && looksLikeMarkdown(shortened) ? ["Formatted"] : []),
      "Text",
    ],
    [rows, json, shortened],
  );
  const [kind, choice] = useKind(kinds);
  const [isWhole, setWhole] = useState(false);
  const shown = isWhole ? text : shortened;
  if (media) {
    return <MediaView media={media} label={label} />;
  }
  if (files.length > 0 && isOnlyMeant(text)) {
    return <FileList files={files} />;
  }
  return (
    <div className="value">
      <div className="value-does">
        {choice}
        <CopyButton text={text} label={`Copy ${label}`} />
      </div>
      <FileList files={files} />
      {kind === "Table" && rows ? (
        <RowTable rows={rows} label={label} />
      ) : kind === "JSON" && json !== undefined ? (
        <>
          <MediaList value={json} label={label} />
          <JsonView value={json} label={label} />
        </>
      ) : kind === "Code" ? (
        <CodeLines text={shown} />
      ) : kind === "Formatted" ? (
        <Markdown text={shown} />
      ) : (
        <pre className="text">{shown}</pre>
      )}
      {text.length > SHOWN && !isWhole && kind !== "JSON" && kind !== "Table" && (
        <button type="button" className="button small" onClick={() => setWhole(true)}>
          Show {(text.length - SHOWN).toLocaleString("en-US")} more characters
        </button>
      )}
    </div>
  );
}

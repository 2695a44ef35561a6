// Whatever was stored, shown as what it is: prose, JSON, or text as it stands.
import { lazy, Suspense, useMemo, useState } from "react";
import type { Json } from "../api/types";
import { CopyButton } from "../ui/parts";
import { FileList, isOnlyMeant, Meant, meantIn, useFiles } from "./attached";
import { JsonView } from "./json-view";
import { MediaList, MediaView, mediaOfText } from "./media";

const Markdown = lazy(() => import("./markdown"));

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
  return (
    <div className="value">
      <div className="value-does">
        <CopyButton text={JSON.stringify(value, null, 2)} label={`Copy ${label}`} />
      </div>
      <MediaList value={value} label={label} />
      <Meant value={value} />
      <JsonView value={value} label={label} onFilter={onFilter} />
    </div>
  );
}

function TextValue({ text, label }: { text: string; label: string }) {
  const json = useMemo(() => parsed(text), [text]);
  const media = mediaOfText(text);
  const files = meantIn(text, useFiles());
  const kinds = [
    ...(json === undefined ? [] : ["JSON"]),
    ...(json === undefined && looksLikeMarkdown(text.slice(0, SHOWN)) ? ["Formatted"] : []),
    "Text",
  ];
  const [chosen, setChosen] = useState<string | null>(null);
  const [isWhole, setWhole] = useState(false);
  const kind = chosen && kinds.includes(chosen) ? chosen : kinds[0];
  const shown = isWhole ? text : text.slice(0, SHOWN);
  if (media) {
    return <MediaView media={media} label={label} />;
  }
  if (files.length > 0 && isOnlyMeant(text)) {
    return <FileList files={files} />;
  }
  return (
    <div className="value">
      <div className="value-does">
        {kinds.length > 1 &&
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
          ))}
        <CopyButton text={text} label={`Copy ${label}`} />
      </div>
      <FileList files={files} />
      {kind === "JSON" && json !== undefined ? (
        <>
          <MediaList value={json} label={label} />
          <JsonView value={json} label={label} />
        </>
      ) : kind === "Formatted" ? (
        <Suspense fallback={<pre className="text">{shown}</pre>}>
          <Markdown text={shown} />
        </Suspense>
      ) : (
        <pre className="text">{shown}</pre>
      )}
      {text.length > SHOWN && !isWhole && kind !== "JSON" && (
        <button type="button" className="button small" onClick={() => setWhole(true)}>
          Show {(text.length - SHOWN).toLocaleString("en-US")} more characters
        </button>
      )}
    </div>
  );
}

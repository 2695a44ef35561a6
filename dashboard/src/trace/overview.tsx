// The whole run, where no step of it is chosen.
import { useEffect, useState } from "react";
import type { Json, Trace } from "../api/types";
import { type Attachment, FileList } from "../text/attached";
import { Ghosts } from "../ui/parts";
import type { Steps } from "./columns";
import { Spent } from "./spent";

export function Overview({
  project,
  id,
  trace,
  steps,
  files,
  onFilter,
}: {
  project: string;
  id: string;
  trace: Trace | undefined;
  steps: Steps;
  files: Attachment[];
  onFilter: (key: string, value: Json, exclude: boolean) => void;
}) {
  const [JsonView, setJsonView] = useState<typeof import("../text/json-view").JsonView | null>(null);
  useEffect(() => {
    void import("../text/json-view").then((module) => setJsonView(() => module.JsonView));
  }, []);
  if (!trace) {
    return <Ghosts lines={8} />;
  }
  const metadata = trace.metadata ?? {};
  return (
    <div className="stack step-pad">
      <h2>The whole run</h2>
      {trace.error_message && (
        <section>
          <h3>Error</h3>
          <pre className="note bad">{trace.error_message}</pre>
        </section>
      )}
      <section>
        <h3>Input</h3>
        <pre className="text">{trace.input_preview || "Nothing"}</pre>
      </section>
      <section>
        <h3>Output</h3>
        <pre className="text">{trace.output_preview || "Nothing"}</pre>
      </section>
      <Spent project={project} id={id} trace={trace} steps={steps} />
      {trace.tags?.length ? (
        <section>
          <h3>Tags</h3>
          <div className="row wrap">
            {trace.tags.map((tag) => (
              <button key={tag} type="button" className="chip" onClick={() => onFilter("tags", tag, false)}>
                {tag}
              </button>
            ))}
          </div>
        </section>
      ) : null}
      {Object.keys(metadata).length > 0 && JsonView && (
        <section>
          <h3>Metadata</h3>
          <JsonView
            value={metadata}
            label="metadata"
            onFilter={(path, value, exclude) => onFilter(`metadata.${path}`, value, exclude)}
          />
        </section>
      )}
      {files.length > 0 && (
        <section>
          <h3>Attachments</h3>
          <FileList files={files} />
        </section>
      )}
      <p className="soft">Choose a step to see all of it.</p>
    </div>
  );
}

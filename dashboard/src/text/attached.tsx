// Files of a trace: which there are, which of them a text means, and how one is shown. Their bytes come
// from this server alone, under the type that it found in them, so nothing that somebody sent can run.
import { useQuery } from "@tanstack/react-query";
import { createContext, useContext } from "react";
import { get, part } from "../api/client";
import { at } from "../api/queries";
import type { Json } from "../api/types";
import { Icon } from "../ui/parts";
import { bytes } from "./format";
import { kindOfType } from "./media";

export interface Attachment {
  id: string;
  sha256: string;
  content_type: string;
  declared_type: string | null;
  size: number;
  name: string | null;
  span_id: string | null;
  field: string | null;
  upload: string | null;
  url: string;
}

const NONE: Attachment[] = [];
const LOOKED_AT = 500;
const SHOWN_MAX = 12;
// What clients write in the place of what they sent by itself, and obsrv in that of what it cut out of a value.
const MEANT =
  /obsrv-blob:\/\/\d+\/[^\s/"']+\/([\w-]+)|@@@langfuseMedia:([^@]{1,300})@@@|(?:data:[^\s,"']{0,200};base64,)?obsrv-media:[0-9a-f]{32}:\d+:([0-9a-f]{64})/g;

// The files of the trace that is shown here.
const Files = createContext<Attachment[]>(NONE);
export const FilesOf = Files.Provider;
export const useFiles = () => useContext(Files);

export function useAttachments(project: string, trace: string, enabled = true): Attachment[] {
  const answer = useQuery({
    queryKey: ["files", project, trace],
    queryFn: ({ signal }) =>
      get<{ data: Attachment[] }>(at(project, `/traces/${part(trace)}/blobs`), {}, signal),
    enabled,
    staleTime: 60_000,
  });
  return answer.data?.data ?? NONE;
}

// Those that a value means, each once, in their order.
export function meantIn(value: Json | undefined, all: Attachment[]): Attachment[] {
  if (all.length === 0 || value === undefined) {
    return NONE;
  }
  const found = new Set<Attachment>();
  const waiting: Json[] = [value];
  for (let looked = 0; waiting.length > 0 && looked < LOOKED_AT && found.size < SHOWN_MAX; looked++) {
    const one = waiting.shift() as Json;
    if (typeof one === "string") {
      for (const [, own, langfuse, cut] of one.matchAll(MEANT)) {
        const name = own ?? cut ?? /(?:^|\|)id=([^|]+)/.exec(langfuse ?? "")?.[1];
        const file = all.find((file) => file.id === name || file.upload === name || file.sha256 === name);
        if (file) {
          found.add(file);
        }
      }
    } else if (typeof one === "object" && one !== null) {
      waiting.push(...(Array.isArray(one) ? one : Object.values(one)).slice(0, LOOKED_AT));
    }
  }
  return [...found];
}

// Whether a text is nothing but the name of a file.
export const isOnlyMeant = (text: string) => text.trim().replace(MEANT, "") === "";

export function nameOf(file: Attachment): string {
  return file.name || file.field || file.id;
}

export function FileView({ file }: { file: Attachment }) {
  const kind = kindOfType(file.content_type);
  const name = nameOf(file);
  return (
    <figure className="file">
      {kind === "image" ? (
        <a href={file.url} target="_blank" rel="noreferrer" className="file-shown">
          <img src={file.url} alt={name} loading="lazy" />
        </a>
      ) : kind === "audio" ? (
        <audio className="sound" controls preload="metadata" src={file.url} aria-label={name} />
      ) : kind === "video" ? (
        <video className="file-shown" controls preload="metadata" src={file.url} aria-label={name} />
      ) : null}
      <figcaption className="row">
        {kind === null && <Icon name="file" />}
        <span className="cut" title={name}>
          {name}
        </span>
        <span className="soft num nowrap">
          {file.content_type === "application/octet-stream" ? file.declared_type : file.content_type}{" "}
          {bytes(file.size)}
        </span>
        <a className="button small" href={file.url} download={name} aria-label={`Save ${name}`}>
          Save
        </a>
      </figcaption>
    </figure>
  );
}

export function FileList({ files }: { files: Attachment[] }) {
  return files.length === 0 ? null : (
    <div className="files">
      {files.map((file) => (
        <FileView key={`${file.id} ${file.span_id} ${file.field}`} file={file} />
      ))}
    </div>
  );
}

// What a value means of the files of its trace.
export function Meant({ value }: { value: Json | undefined }) {
  return <FileList files={meantIn(value, useFiles())} />;
}

// Pictures, sound and film that are in a trace as data. What a trace only names is never loaded: whoever
// wrote it would learn who reads it.
import type { Json } from "../api/types";

type Map = { [key: string]: Json };

export interface Media {
  kind: "image" | "audio" | "video";
  source: string;
}

// By what browsers show; nothing here can hold a script.
const TYPES: Record<string, Media["kind"]> = {
  "image/png": "image",
  "image/jpeg": "image",
  "image/gif": "image",
  "image/webp": "image",
  "image/avif": "image",
  "audio/wav": "audio",
  "audio/x-wav": "audio",
  "audio/mpeg": "audio",
  "audio/mp3": "audio",
  "audio/mp4": "audio",
  "audio/aac": "audio",
  "audio/ogg": "audio",
  "audio/webm": "audio",
  "audio/flac": "audio",
  "video/mp4": "video",
  "video/webm": "video",
  "video/ogg": "video",
};
// How browsers show what is of a type; null where they do not.
export const kindOfType = (type: string): Media["kind"] | null => TYPES[type.toLowerCase()] ?? null;

const DATA = /^data:([a-z]+\/[a-z0-9.+-]+)(?:;[a-z]+=[\w.-]+)*;base64,/i;
const BASE64 = /^[A-Za-z0-9+/_=\s-]+$/;
const LOOKED_AT = 2000;
const SHOWN_MAX = 12;

const isMap = (value: Json | undefined): value is Map =>
  typeof value === "object" && value !== null && !Array.isArray(value);
const textOf = (value: Json | undefined) => (typeof value === "string" ? value : "");

// A text that is itself such data.
export function mediaOfText(text: string): Media | null {
  const head = DATA.exec(text.slice(0, 200));
  // What was cut out of a value is a file of the trace.
  if (!head || text.startsWith("obsrv-media:", head[0].length)) {
    return null;
  }
  const type = head[1]?.toLowerCase();
  const kind = type && TYPES[type];
  return kind ? { kind, source: text } : null;
}

function typed(type: string, data: string): Media | null {
  const full = type.includes("/") ? type.toLowerCase() : `audio/${type.toLowerCase()}`;
  const kind = TYPES[full];
  if (!kind || data.length < 16 || !BASE64.test(data.slice(0, 200))) {
    return null;
  }
  const plain = data.replace(/-/g, "+").replace(/_/g, "/");
  return { kind, source: `data:${full};base64,${plain}` };
}

// As the providers write it: a data URL under one of a few names, or a type beside the data.
export function mediaOf(part: Map): Media | null {
  for (const key of ["image_url", "video_url", "audio_url", "url", "data", "image", "file_data", "text", "content"]) {
    const value = part[key];
    const found = mediaOfText(textOf(isMap(value) ? value.url : value));
    if (found) {
      return found;
    }
  }
  for (const key of ["source", "inline_data", "inlineData", "input_audio", "audio", "image", "video", "file", "blob"]) {
    const inner = part[key];
    const found = isMap(inner) ? (beside(inner) ?? mediaOfText(textOf(inner.file_data))) : null;
    if (found) {
      return found;
    }
  }
  return beside(part);
}

function beside(part: Map): Media | null {
  const type = textOf(part.media_type ?? part.mime_type ?? part.mimeType ?? part.mediaType ?? part.format);
  return type ? typed(type, textOf(part.data ?? part.content ?? part.blob ?? part.base64)) : null;
}

// All that is anywhere in a value, as far as it is looked at.
export function mediaIn(value: Json): Media[] {
  const found: Media[] = [];
  const waiting: Json[] = [value];
  for (let looked = 0; waiting.length > 0 && looked < LOOKED_AT && found.length < SHOWN_MAX; looked++) {
    const one = waiting.shift() as Json;
    const own = typeof one === "string" ? mediaOfText(one) : isMap(one) ? mediaOf(one) : null;
    if (own) {
      found.push(own);
    } else if (typeof one === "object" && one !== null) {
      waiting.push(...(Array.isArray(one) ? one : Object.values(one)).slice(0, LOOKED_AT));
    }
  }
  return found;
}

export function MediaView({ media, label }: { media: Media; label: string }) {
  if (media.kind === "image") {
    return <img className="picture" src={media.source} alt={label} />;
  }
  // What was said in it stands in the trace, if anywhere.
  return media.kind === "audio" ? (
    <audio className="sound" controls preload="metadata" src={media.source} aria-label={label} />
  ) : (
    <video className="picture" controls preload="metadata" src={media.source} aria-label={label} />
  );
}

export function MediaList({ value, label }: { value: Json; label: string }) {
  const all = mediaIn(value);
  return all.length === 0 ? null : (
    <div className="row wrap">
      {all.map((media, place) => (
        <MediaView key={place} media={media} label={`${media.kind} ${place + 1} in ${label}`} />
      ))}
    </div>
  );
}

// One message of a conversation: who says it, its parts, and the tools that it calls.
import type { Json, Message } from "../api/types";
import { FileList, isOnlyMeant, meantIn, useFiles } from "../text/attached";
import { MediaView, mediaOf } from "../text/media";
import { Value } from "../text/value";

type Map = { [key: string]: Json };

const isMap = (value: Json | undefined): value is Map =>
  typeof value === "object" && value !== null && !Array.isArray(value);

export function roleGroup(role: string): string {
  const name = role.toLowerCase();
  if (/^(user|human)$/.test(name)) {
    return "user";
  }
  if (/^(assistant|ai|model|bot)$/.test(name)) {
    return "assistant";
  }
  if (/^(system|developer)$/.test(name)) {
    return "system";
  }
  return /tool|function/.test(name) ? "tool" : "other";
}

export function MessageParts({ message }: { message: Message }) {
  const content = message.parts ?? message.content;
  const parts = Array.isArray(content) ? content : content === undefined || content === null ? [] : [content];
  const calls = Array.isArray(message.tool_calls) ? message.tool_calls : [];
  const isBare = parts.length === 0 && calls.length === 0;
  return (
    <>
      {parts.map((part, at) => (
        <Part key={at} part={part} />
      ))}
      {calls.map((call, at) => (
        <ToolCall key={at} call={call} />
      ))}
      {isBare && <p className="soft">Says nothing</p>}
    </>
  );
}

function Part({ part }: { part: Json }) {
  const files = meantIn(part, useFiles());
  if (!isMap(part)) {
    return <Value value={part} label="message" />;
  }
  const kind = String(part.type ?? "");
  if (kind === "tool_call" || kind === "tool_use" || kind === "function_call") {
    return <ToolCall call={part} />;
  }
  const media = mediaOf(part);
  if (media) {
    const said = typeof part.text === "string" && part.text !== media.source ? part.text : null;
    return <MediaView media={media} label={said ?? String(part.alt ?? `${media.kind} of the message`)} />;
  }
  const text = part.text ?? part.content ?? part.thinking ?? part.reasoning;
  if (files.length > 0 && (typeof text !== "string" || isOnlyMeant(text))) {
    return <FileList files={files} />;
  }
  if (typeof text === "string") {
    return (
      <div className={kind && kind !== "text" ? "part-other" : ""}>
        {kind && kind !== "text" && <div className="part-kind soft">{kind.replace(/_/g, " ")}</div>}
        <Value value={text} label="message" />
      </div>
    );
  }
  return (
    <div className="part-other">
      {kind && <div className="part-kind soft">{kind.replace(/_/g, " ")}</div>}
      <Value value={part} label={kind || "part"} />
    </div>
  );
}

// What a message says, without what is not text.
export function plainText(message: Message): string {
  const content = message.parts ?? message.content;
  const parts = Array.isArray(content) ? content : [content ?? ""];
  return parts
    .map((part) => (isMap(part) ? (part.text ?? part.content) : part))
    .filter((text) => typeof text === "string")
    .join("\n");
}

export function ToolCall({ call }: { call: Json }) {
  if (!isMap(call)) {
    return <Value value={call} label="tool call" />;
  }
  const inner = isMap(call.function) ? call.function : call;
  const name = String(inner.name ?? call.name ?? "tool");
  const args = inner.arguments ?? inner.args ?? inner.input ?? call.arguments;
  const result = call.result ?? call.output ?? call.response;
  return (
    <div className="tool-call">
      <div className="tool-call-head">
        <span className="soft">calls</span> <b className="mono">{name}</b>
        {typeof call.id === "string" && <span className="soft mono cut">{call.id}</span>}
      </div>
      {args !== undefined && args !== null && <Value value={args} label={`arguments of ${name}`} />}
      {result !== undefined && result !== null && (
        <>
          <div className="part-kind soft">result</div>
          <Value value={result} label={`result of ${name}`} />
        </>
      )}
    </div>
  );
}

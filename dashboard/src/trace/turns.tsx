// What a model was told this time that it was not told the time before.
import { useQuery } from "@tanstack/react-query";
import { useMemo, useState } from "react";
import { get, part } from "../api/client";
import { at } from "../api/queries";
import type { Message, Span } from "../api/types";
import { diff, diffTexts, likeness, type TextPiece } from "../text/diff";
import { count } from "../text/format";
import { Failure, Ghosts } from "../ui/parts";
import { MessageParts, plainText, roleGroup } from "./message";

const LIKE = 0.4;
// A text longer than this is shown as it is.
const DIFFED_MAX = 40_000;

type Change =
  | { kind: "same"; messages: Message[] }
  | { kind: "added" | "removed"; message: Message }
  | { kind: "changed"; message: Message; pieces: TextPiece[] };

const keyOf = (message: Message) =>
  JSON.stringify([message.role, message.parts ?? message.content, message.tool_calls ?? []]);

// The text of both, as one; null where they have little in common.
export function changedText(before: Message, after: Message): TextPiece[] | null {
  const [a, b] = [plainText(before), plainText(after)];
  if (a === b || !a || !b || a.length > DIFFED_MAX || b.length > DIFFED_MAX) {
    return null;
  }
  const pieces = diffTexts(a, b);
  return likeness(pieces) >= LIKE ? pieces : null;
}

export function changes(before: Message[], after: Message[]): Change[] {
  const keys = new Map<Message, string>([...before, ...after].map((one) => [one, keyOf(one)]));
  const found: Change[] = [];
  let gone: Message[] = [];
  const flush = () => {
    found.push(...gone.map((message): Change => ({ kind: "removed", message })));
    gone = [];
  };
  for (const { kind, items } of diff(before, after, (a, b) => keys.get(a) === keys.get(b))) {
    if (kind === "same") {
      flush();
      found.push({ kind, messages: items });
    } else if (kind === "removed") {
      gone.push(...items);
    } else {
      for (const message of items) {
        const place = gone.findIndex((one) => one.role === message.role && changedText(one, message));
        const old = gone[place];
        const pieces = old && changedText(old, message);
        if (pieces) {
          gone.splice(place, 1);
          found.push({ kind: "changed", message, pieces });
        } else {
          found.push({ kind: "added", message });
        }
      }
    }
  }
  flush();
  return found;
}

export function DiffText({ pieces }: { pieces: TextPiece[] }) {
  return (
    <pre className="text diff-text">
      {pieces.map(({ kind, text }, place) =>
        kind === "added" ? (
          <ins key={place}>{text}</ins>
        ) : kind === "removed" ? (
          <del key={place}>{text}</del>
        ) : (
          <span key={place}>{text}</span>
        ),
      )}
    </pre>
  );
}

const NAMES = { added: "new", removed: "no longer there", changed: "changed" };

export function TurnChanges({
  project,
  trace,
  step,
  before,
}: {
  project: string;
  trace: string;
  step: Span;
  before: string;
}) {
  const earlier = useQuery({
    queryKey: ["span", project, trace, before],
    queryFn: ({ signal }) => get<Span>(at(project, `/traces/${part(trace)}/spans/${part(before)}`), { media: "reference" }, signal),
  });
  const found = useMemo(() => {
    const of = (span: Span | undefined) =>
      (Array.isArray(span?.messages) ? span.messages : []) as unknown as Message[];
    return earlier.data ? changes(of(earlier.data), of(step)) : [];
  }, [earlier.data, step]);
  if (earlier.isError) {
    return <Failure error={earlier.error} retry={() => earlier.refetch()} />;
  }
  if (!earlier.data) {
    return <Ghosts lines={6} />;
  }
  const isSame = found.every(({ kind }) => kind === "same");
  return (
    <>
      <p className="soft">
        Beside the model call before, {earlier.data.name || earlier.data.span_id}
        {isSame && ": the same messages"}
      </p>
      {found.map((change, place) =>
        change.kind === "same" ? (
          <Same key={place} messages={change.messages} />
        ) : (
          <article
            key={place}
            className={`message ${roleGroup(String(change.message.role))} turn-${change.kind}`}
          >
            <div className="message-role row">
              <span className="grow">{change.message.role}</span>
              <span className="chip">{NAMES[change.kind]}</span>
            </div>
            {change.kind === "changed" ? (
              <DiffText pieces={change.pieces} />
            ) : (
              <MessageParts message={change.message} />
            )}
          </article>
        ),
      )}
    </>
  );
}

function Same({ messages }: { messages: Message[] }) {
  const [isOpen, setOpen] = useState(false);
  return (
    <>
      <button
        type="button"
        className="button small turn-same"
        aria-expanded={isOpen}
        onClick={() => setOpen(!isOpen)}
      >
        {count(messages.length)} {messages.length === 1 ? "message" : "messages"} as before
      </button>
      {isOpen &&
        messages.map((message, place) => (
          <article key={place} className={`message ${roleGroup(String(message.role))}`}>
            <div className="message-role">{message.role}</div>
            <MessageParts message={message} />
          </article>
        ))}
    </>
  );
}

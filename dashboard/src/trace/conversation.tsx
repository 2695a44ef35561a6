// The trace as what was said, in order; what earlier turns said already is not said again.
import { useInfiniteQuery, useQuery } from "@tanstack/react-query";
import { useMemo, useState } from "react";
import { get, part } from "../api/client";
import { at } from "../api/queries";
import type { Json, Message } from "../api/types";
import { usePrefs } from "../state/prefs";
import { type Attachment, FileList, FilesOf, meantIn, useAttachments } from "../text/attached";
import { count, time } from "../text/format";
import { Empty, Failure, Ghosts } from "../ui/parts";
import { MessageParts, roleGroup } from "./message";
import { changedText, DiffText } from "./turns";

const TOLD_TOKENS = 8000;
const NO_FILES: Attachment[] = [];

interface Page {
  data: Message[];
  total: number;
  next_offset: number | null;
}

export function Conversation({
  project,
  id,
  onStep,
}: {
  project: string;
  id: string;
  onStep?: (span: string) => void;
}) {
  const talk = useInfiniteQuery({
    queryKey: ["conversation", project, id],
    queryFn: ({ signal, pageParam }) =>
      get<Page>(at(project, `/traces/${part(id)}/conversation`), { offset: pageParam }, signal),
    initialPageParam: null as number | null,
    getNextPageParam: (page) => page.next_offset,
  });
  const files = useAttachments(project, id, talk.isSuccess);
  if (talk.isError) {
    return <Failure error={talk.error} retry={() => talk.refetch()} />;
  }
  if (!talk.data) {
    return (
      <div className="talk">
        <Ghosts lines={8} height={40} />
      </div>
    );
  }
  const messages = talk.data.pages.flatMap((page) => page.data);
  const left = (talk.data.pages[0]?.total ?? 0) - messages.length;
  const more = talk.hasNextPage ? { left, show: () => void talk.fetchNextPage() } : null;
  if (messages.length === 0) {
    return <AsText project={project} id={id} files={files} />;
  }
  return (
    <FilesOf value={files}>
      <Messages messages={messages} files={files} more={more} onStep={onStep} />
    </FilesOf>
  );
}

// A run without messages is told by its steps, as text.
function AsText({ project, id, files }: { project: string; id: string; files: Attachment[] }) {
  const told = useQuery({
    queryKey: ["render", project, id],
    queryFn: ({ signal }) =>
      get<{ text: string; spans_left_out: number }>(
        at(project, `/traces/${part(id)}/render`),
        { tokens: TOLD_TOKENS },
        signal,
      ),
  });
  if (told.isError) {
    return <Failure error={told.error} retry={() => told.refetch()} />;
  }
  if (!told.data) {
    return (
      <div className="talk">
        <Ghosts lines={8} height={20} />
      </div>
    );
  }
  if (!told.data.text.trim()) {
    return <Empty title="Nobody says anything here" />;
  }
  return (
    <div className="talk" tabIndex={0} role="log" aria-label="The run as text" aria-live="off">
      <p className="soft">The steps of this run hold no messages. This is what they did.</p>
      <pre className="text">{told.data.text}</pre>
      <FileList files={files} />
      {told.data.spans_left_out > 0 && (
        <p className="soft num">{count(told.data.spans_left_out)} further steps are not told here.</p>
      )}
    </div>
  );
}

function Messages({
  messages,
  files,
  more,
  onStep,
}: {
  messages: Message[];
  files: Attachment[];
  more: { left: number; show: () => void } | null;
  onStep?: (span: string) => void;
}) {
  const { zone } = usePrefs();
  const earlier = useMemo(() => earlierOf(messages), [messages]);
  const { ofStep, rest } = useMemo(() => besides(messages, files), [messages, files]);
  return (
    <div className="talk" tabIndex={0} role="log" aria-label="Conversation" aria-live="off">
      {messages.map((message, place) => (
        <article key={place} className={`message ${roleGroup(message.role)}`}>
          <div className="message-role row">
            <span className="grow">{message.role}</span>
            {message.at && <span className="soft num">{time(message.at, zone)}</span>}
            {message.span_id && onStep && (
              <button
                type="button"
                className="button plain small"
                onClick={() => onStep(String(message.span_id))}
              >
                Step
              </button>
            )}
          </div>
          <Said message={message} before={earlier[place] ?? null} />
          <FileList files={ofStep.get(place) ?? NO_FILES} />
        </article>
      ))}
      {rest.length > 0 && !more && (
        <section className="stack">
          <h2>Attached to the run</h2>
          <FileList files={rest} />
        </section>
      )}
      {more && (
        <button type="button" className="button" onClick={more.show}>
          Show more of {count(more.left)} further messages
        </button>
      )}
    </div>
  );
}

// Files that no message names: behind the last message of their step, or behind all.
function besides(messages: Message[], files: Attachment[]) {
  const named = new Set(messages.flatMap((message) => meantIn(message as unknown as Json, files)));
  const ofStep = new Map<number, Attachment[]>();
  const rest: Attachment[] = [];
  for (const file of files.filter((file) => !named.has(file))) {
    const place = file.span_id ? messages.findLastIndex(({ span_id }) => span_id === file.span_id) : -1;
    if (place >= 0) {
      ofStep.set(place, [...(ofStep.get(place) ?? []), file]);
    } else {
      rest.push(file);
    }
  }
  return { ofStep, rest };
}

// For each message the last one before it of whoever says it, where that is much alike.
function earlierOf(messages: Message[]): (Message | null)[] {
  const last = new Map<string, Message>();
  return messages.map((message) => {
    const before = last.get(message.role);
    last.set(message.role, message);
    return before && changedText(before, message) ? before : null;
  });
}

function Said({ message, before }: { message: Message; before: Message | null }) {
  const [isDiff, setDiff] = useState(false);
  const pieces = isDiff && before ? changedText(before, message) : null;
  return (
    <>
      {before && (
        <button
          type="button"
          className="button small turn-same"
          aria-pressed={isDiff}
          onClick={() => setDiff(!isDiff)}
        >
          What changed since they last said it
        </button>
      )}
      {pieces ? <DiffText pieces={pieces} /> : <MessageParts message={message} />}
    </>
  );
}

// The trace as what was said, in order; what earlier turns said already is not said again.
import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { get, part } from "../api/client";
import { at } from "../api/queries";
import type { Message } from "../api/types";
import { usePrefs } from "../state/prefs";
import { time } from "../text/format";
import { Empty, Failure, Ghosts } from "../ui/parts";
import { MessageParts, roleGroup } from "./message";

const SHOWN = 200;

interface Answer {
  messages?: Message[];
  data?: Message[];
}

export function Conversation({
  project,
  id,
  onStep,
}: {
  project: string;
  id: string;
  onStep: (span: string) => void;
}) {
  const answer = useQuery({
    queryKey: ["conversation", project, id],
    queryFn: ({ signal }) =>
      get<Answer | Message[]>(at(project, `/traces/${part(id)}/conversation`), {}, signal),
  });
  if (answer.isError) {
    return <Failure error={answer.error} retry={() => answer.refetch()} />;
  }
  if (!answer.data) {
    return (
      <div className="talk">
        <Ghosts lines={8} height={40} />
      </div>
    );
  }
  const data = answer.data;
  return (
    <Messages messages={Array.isArray(data) ? data : (data.messages ?? data.data ?? [])} onStep={onStep} />
  );
}

export function Messages({ messages, onStep }: { messages: Message[]; onStep?: (span: string) => void }) {
  const { zone } = usePrefs();
  const [shown, setShown] = useState(SHOWN);
  if (messages.length === 0) {
    return (
      <Empty title="Nobody says anything here">
        <p>The steps of this run hold no messages. What went in and came out is with each step.</p>
      </Empty>
    );
  }
  return (
    <div className="talk" tabIndex={0} role="log" aria-label="Conversation" aria-live="off">
      {messages.slice(0, shown).map((message, place) => (
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
          <MessageParts message={message} />
        </article>
      ))}
      {messages.length > shown && (
        <button type="button" className="button" onClick={() => setShown(shown + SHOWN)}>
          Show {Math.min(SHOWN, messages.length - shown)} more of {messages.length - shown}
        </button>
      )}
    </div>
  );
}

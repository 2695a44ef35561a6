// How each client is pointed at this server, with a key.
import { useState } from "react";
import { Code } from "../ui/parts";
import { SNIPPETS } from "./snippets";

export function Send({ apiKey }: { apiKey: string }) {
  const [sdk, setSdk] = useState(SNIPPETS[0]?.id ?? "");
  const snippet = SNIPPETS.find((one) => one.id === sdk) ?? SNIPPETS[0];
  return (
    <>
      <div className="tabs" role="tablist" aria-label="Ways to send">
        {SNIPPETS.map((one) => (
          <button
            key={one.id}
            type="button"
            role="tab"
            className="tab"
            aria-selected={sdk === one.id}
            onClick={() => setSdk(one.id)}
          >
            {one.name}
          </button>
        ))}
      </div>
      {snippet?.install && <Code text={snippet.install} />}
      {snippet && <Code text={snippet.code(window.location.origin, apiKey)} />}
    </>
  );
}

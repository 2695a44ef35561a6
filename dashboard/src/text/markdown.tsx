// Markdown as elements: what the lexer reads is shown as React elements, never as HTML. Raw HTML is
// shown as the text that it is; pictures are named, not loaded; links leave only by a click.
import { lexer, type Token, type Tokens } from "marked";
import { Fragment, type ReactNode, useMemo } from "react";
import { Table } from "../ui/table";
import { CodeLines } from "./code";

const DEPTH_MAX = 30;

export default function Markdown({ text }: { text: string }) {
  const tokens = useMemo(() => {
    try {
      return lexer(text, { gfm: true, breaks: true });
    } catch {
      return null;
    }
  }, [text]);
  return tokens ? <div className="markdown">{blocks(tokens, 0)}</div> : <pre>{text}</pre>;
}

function blocks(tokens: Token[], depth: number): ReactNode {
  if (depth > DEPTH_MAX) {
    return tokens.map((token) => token.raw).join("");
  }
  return tokens.map((token, at) => <Fragment key={at}>{one(token, depth + 1)}</Fragment>);
}

function below(token: Token, depth: number): ReactNode {
  return "tokens" in token && token.tokens ? blocks(token.tokens, depth) : plain(token);
}

// The lexer escapes nothing; entities stay as they were written.
function plain(token: Token): string {
  return "text" in token && typeof token.text === "string" ? token.text : token.raw;
}

function one(token: Token, depth: number): ReactNode {
  switch (token.type) {
    case "space":
      return null;
    case "heading":
      return <p className={`h h${(token as Tokens.Heading).depth}`}>{below(token, depth)}</p>;
    case "paragraph":
      return <p>{below(token, depth)}</p>;
    case "blockquote":
      return <blockquote>{below(token, depth)}</blockquote>;
    case "code":
      return <CodeLines text={plain(token)} />;
    case "codespan":
      return <code>{plain(token)}</code>;
    case "strong":
      return <strong>{below(token, depth)}</strong>;
    case "em":
      return <em>{below(token, depth)}</em>;
    case "del":
      return <del>{below(token, depth)}</del>;
    case "br":
      return <br />;
    case "hr":
      return <hr />;
    case "list":
      return list(token as Tokens.List, depth);
    case "table":
      return table(token as Tokens.Table, depth);
    case "link":
      return link(token as Tokens.Link, depth);
    case "image":
      return (
        <span className="chip" title={(token as Tokens.Image).href}>
          picture {(token as Tokens.Image).text || (token as Tokens.Image).href.slice(0, 60)}
        </span>
      );
    case "text":
    case "escape":
      return below(token, depth);
    default:
      return token.raw;
  }
}

function list(token: Tokens.List, depth: number) {
  const items = token.items.map((item, at) => (
    <li key={at}>
      {item.task && (item.checked ? "☑ " : "☐ ")}
      {blocks(item.tokens, depth)}
    </li>
  ));
  return token.ordered ? <ol start={Number(token.start) || 1}>{items}</ol> : <ul>{items}</ul>;
}

function table(token: Tokens.Table, depth: number) {
  return (
    <Table label="Table">
      <thead>
        <tr>
          {token.header.map((cell, at) => (
            <th key={at}>{blocks(cell.tokens, depth)}</th>
          ))}
        </tr>
      </thead>
      <tbody>
        {token.rows.map((row, at) => (
          <tr key={at}>
            {row.map((cell, place) => (
              <td key={place}>{blocks(cell.tokens, depth)}</td>
            ))}
          </tr>
        ))}
      </tbody>
    </Table>
  );
}

function link(token: Tokens.Link, depth: number) {
  const isSafe = /^https?:\/\//i.test(token.href);
  return isSafe ? (
    <a href={token.href} title={token.href} target="_blank" rel="noopener noreferrer nofollow">
      {below(token, depth)}
    </a>
  ) : (
    <span title={token.href}>{below(token, depth)}</span>
  );
}

// What a project is: its keys, who has a role at it, its rules, what it used.
import { useEffect } from "react";
import { Link } from "wouter";
import { can, useProject } from "../shell/projects";
import { Empty } from "../ui/parts";
import { ExperimentsTab } from "./experiments";
import { GeneralTab } from "./general";
import { KeysTab } from "./keys";
import { RedactionTab } from "./redaction";
import { RetentionTab } from "./retention";
import { UsageTab } from "./usage";

const TABS = [
  { id: "keys", name: "Keys", right: "key.read", show: KeysTab },
  { id: "experiments", name: "Experiments", right: null, show: ExperimentsTab },
  { id: "retention", name: "Retention and limits", right: null, show: RetentionTab },
  { id: "redaction", name: "Redaction", right: null, show: RedactionTab },
  { id: "usage", name: "Usage", right: null, show: UsageTab },
  { id: "general", name: "General", right: null, show: GeneralTab },
];

export default function ProjectSettings({ project, tab }: { project: string; tab: string }) {
  const known = useProject(project);
  const shown = TABS.find((one) => one.id === tab);
  const Tab = shown?.show;
  useEffect(() => {
    document.title = `${shown?.name ?? "Settings"} · obsrv`;
  }, [shown]);
  return (
    <div className="page">
      <div className="row wrap page-head">
        <h1 className="grow">Settings of {known?.name ?? "the project"}</h1>
        {known && <Link href={`/o/${known.org}/members`}>Members and audit log</Link>}
      </div>
      <nav className="tabs" aria-label="Settings">
        {TABS.map((one) => (
          <Link
            key={one.id}
            href={`/p/${project}/settings/${one.id}`}
            className="tab"
            aria-current={one.id === tab ? "page" : undefined}
          >
            {one.name}
          </Link>
        ))}
      </nav>
      {!Tab ? (
        <Empty title="No such settings" />
      ) : shown.right && known && !can(known.rights, shown.right) ? (
        <Empty title="Not allowed">
          <p>Your role at this project does not show this.</p>
        </Empty>
      ) : (
        <Tab project={project} />
      )}
    </div>
  );
}

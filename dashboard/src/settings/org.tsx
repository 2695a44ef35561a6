// An organization: who is in it, who is invited, and who did what.
import { useEffect } from "react";
import { Link } from "wouter";
import { useOrgs } from "../shell/projects";
import { Empty } from "../ui/parts";
import { AuditTab } from "./audit";
import { MembersTab } from "./members";

const TABS = [
  { id: "members", name: "Members", show: MembersTab },
  { id: "audit", name: "Audit log", show: AuditTab },
];

export default function OrgSettings({ org, tab }: { org: string; tab: string }) {
  const known = useOrgs().data?.find((one) => String(one.id) === org);
  const shown = TABS.find((one) => one.id === tab);
  const Tab = shown?.show;
  useEffect(() => {
    document.title = `${shown?.name ?? "Organization"} · obsrv`;
  }, [shown]);
  return (
    <div className="page wide">
      <h1>Organization {known?.name ?? org}</h1>
      <nav className="tabs" aria-label="Organization">
        {TABS.map((one) => (
          <Link
            key={one.id}
            href={`/o/${org}/${one.id}`}
            className="tab"
            aria-current={one.id === tab ? "page" : undefined}
          >
            {one.name}
          </Link>
        ))}
      </nav>
      {Tab ? <Tab org={org} rights={known?.rights ?? []} /> : <Empty title="No such page" />}
    </div>
  );
}

// Which project one looks at, and who one is.
import { useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { Link, useLocation } from "wouter";
import { post } from "../api/client";
import { signedOut } from "../api/session";
import type { Me } from "../api/types";
import { type Prefs, setPrefs, usePrefs } from "../state/prefs";
import { Icon, Menu } from "../ui/parts";
import { NewProject } from "./new-project";
import { can, useOrgs, useProjects } from "./projects";

export function ProjectMenu({ current }: { current: string | null }) {
  const projects = useProjects().data ?? [];
  const orgs = useOrgs().data ?? [];
  const [newIn, setNewIn] = useState<number | null>(null);
  const [wanted, setWanted] = useState("");
  const project = projects.find((one) => String(one.id) === current);
  const org = orgs.find((one) => one.id === project?.org);
  const known = new Map(orgs.map((one) => [one.id, one.name]));
  for (const one of projects) {
    if (!known.has(one.org)) {
      known.set(one.org, `Organization ${one.org}`);
    }
  }
  const shown = projects.filter((one) => one.name.toLowerCase().includes(wanted.toLowerCase()));
  return (
    <>
      <Menu
        className="button plain project-menu"
        title={`Project ${org && orgs.length > 1 ? `${org.name} / ` : ""}${project?.name ?? current ?? "none"}`}
        label={
          <>
            {org && orgs.length > 1 && <span className="soft cut not-phone">{org.name} /</span>}
            <span className="cut">
              <b>{project?.name ?? (current ? `Project ${current}` : "No project")}</b>
            </span>
            <Icon name="down" />
          </>
        }
      >
        {(close) => (
          <>
            {projects.length > 8 && (
              <input
                className="input"
                placeholder="Find a project"
                aria-label="Find a project"
                value={wanted}
                onChange={(event) => setWanted(event.target.value)}
              />
            )}
            {[...known].map(([id, name]) => (
              <div key={id}>
                <div className="menu-label row">
                  <span className="grow cut">{name}</span>
                </div>
                {shown
                  .filter((one) => one.org === id)
                  .map((one) => (
                    <Link
                      key={one.id}
                      href={`/p/${one.id}/traces`}
                      className="menu-item"
                      aria-current={String(one.id) === current ? "true" : undefined}
                      onClick={close}
                    >
                      <span className="grow cut">{one.name}</span>
                      {one.archived && <span className="chip">archived</span>}
                      {String(one.id) === current && <Icon name="review" />}
                    </Link>
                  ))}
                {orgs.some((one) => one.id === id) && (
                  <Link href={`/o/${id}/members`} className="menu-item soft" onClick={close}>
                    <Icon name="settings" /> Members and audit log
                  </Link>
                )}
                {can(orgs.find((one) => one.id === id)?.rights, "project.create") && (
                  <button
                    type="button"
                    className="menu-item soft"
                    onClick={() => {
                      close();
                      setNewIn(id);
                    }}
                  >
                    <Icon name="plus" /> New project
                  </button>
                )}
              </div>
            ))}
          </>
        )}
      </Menu>
      <NewProject org={newIn} close={() => setNewIn(null)} />
    </>
  );
}

const THEMES: [Prefs["theme"], string][] = [
  ["system", "As the system"],
  ["light", "Light"],
  ["dark", "Dark"],
];

export function AccountMenu({ me }: { me: Me }) {
  const prefs = usePrefs();
  const queries = useQueryClient();
  const [, navigate] = useLocation();
  return (
    <Menu
      className="button plain icon"
      title={`Account of ${me.name}`}
      label={<span className="avatar">{(me.name || me.email).slice(0, 1).toUpperCase()}</span>}
    >
      {(close) => (
        <>
          <div className="menu-label">
            {me.name}
            <br />
            {me.email}
          </div>
          <Link href="/account" className="menu-item" onClick={close}>
            <Icon name="person" /> Account
          </Link>
          <div className="menu-label">Colours</div>
          {THEMES.map(([theme, name]) => (
            <button
              key={theme}
              type="button"
              className="menu-item"
              aria-pressed={prefs.theme === theme}
              onClick={() => setPrefs({ theme })}
            >
              <span className="grow">{name}</span>
              {prefs.theme === theme && <Icon name="review" />}
            </button>
          ))}
          <div className="menu-label">Times</div>
          {(["local", "utc"] as const).map((zone) => (
            <button
              key={zone}
              type="button"
              className="menu-item"
              aria-pressed={prefs.zone === zone}
              onClick={() => setPrefs({ zone })}
            >
              <span className="grow">{zone === "utc" ? "UTC" : "Local"}</span>
              {prefs.zone === zone && <Icon name="review" />}
            </button>
          ))}
          <div className="menu-label">Keys</div>
          <button
            type="button"
            className="menu-item"
            aria-pressed={prefs.shortcuts === "on"}
            onClick={() => setPrefs({ shortcuts: prefs.shortcuts === "on" ? "off" : "on" })}
          >
            <span className="grow">Single-key shortcuts</span>
            {prefs.shortcuts === "on" && <Icon name="review" />}
          </button>
          <div className="menu-label" />
          <button
            type="button"
            className="menu-item"
            onClick={async () => {
              close();
              await post("/v1/auth/signout").catch(() => {});
              navigate("/signin");
              await signedOut(queries);
            }}
          >
            Sign out
          </button>
        </>
      )}
    </Menu>
  );
}

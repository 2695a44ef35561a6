// The frame around every page: where one is, where one can go, and what the keys do.
import { type ReactNode, useEffect, useState } from "react";
import { Link, useLocation } from "wouter";
import type { Me } from "../api/types";
import { setPrefs, usePrefs } from "../state/prefs";
import { useShortcuts } from "../ui/keys";
import { Empty, Failure, Icon } from "../ui/parts";
import { AccountMenu, ProjectMenu } from "./menus";
import { Palette } from "./palette";
import { useProjects } from "./projects";
import { ShortcutList } from "./shortcuts";

export const PLACES = [
  { path: "traces", name: "Traces", icon: "traces", key: "t" },
  { path: "threads", name: "Threads", icon: "threads", key: "h" },
  { path: "users", name: "Users", icon: "users", key: "u" },
  { path: "logs", name: "Logs", icon: "logs", key: "l" },
  { path: "metrics", name: "Metrics", icon: "metrics", key: "m" },
  { path: "charts", name: "Charts", icon: "charts", key: "c" },
  { path: "paths", name: "Paths", icon: "paths", key: "p" },
  { path: "review", name: "Review", icon: "review", key: "r" },
  { path: "settings", name: "Settings", icon: "settings", key: "s" },
];

export function projectIn(path: string): string | null {
  return /^\/p\/([^/]+)/.exec(path)?.[1] ?? null;
}

export function Shell({ me, children }: { me: Me; children: ReactNode }) {
  const [path, navigate] = useLocation();
  const prefs = usePrefs();
  const projects = useProjects();
  const inPath = projectIn(path);
  const current = inPath ?? remembered(projects.data?.map((project) => String(project.id)));
  const [isPaletteOpen, setPaletteOpen] = useState(false);
  const [isHelpOpen, setHelpOpen] = useState(false);
  const [isNavOpen, setNavOpen] = useState(false);

  useEffect(() => {
    if (inPath) {
      sessionStorage.setItem("obsrv.project", inPath);
    }
  }, [inPath]);
  useEffect(() => {
    if (path === "/" && current) {
      navigate(`/p/${current}/traces`, { replace: true });
    }
  }, [path, current, navigate]);
  // closes when the page is another
  useEffect(() => setNavOpen(false), [path]);
  useEffect(() => {
    const onKey = (event: KeyboardEvent) => {
      if ((event.ctrlKey || event.metaKey) && event.key.toLowerCase() === "k") {
        event.preventDefault();
        setPaletteOpen((isOpen) => !isOpen);
      }
    };
    window.addEventListener("keydown", onKey);
    return () => window.removeEventListener("keydown", onKey);
  }, []);
  useShortcuts([
    { keys: "?", does: "Show all keys", run: () => setHelpOpen(true) },
    ...(current
      ? PLACES.map((place) => ({
          keys: `g ${place.key}`,
          does: `Go to ${place.name.toLowerCase()}`,
          run: () => navigate(`/p/${current}/${place.path}`),
        }))
      : []),
  ]);

  return (
    <div className={`shell ${prefs.nav === "narrow" ? "narrow" : ""}`}>
      <a className="skip" href="#main">
        Skip to the page
      </a>
      <header className="top">
        <button
          type="button"
          className="button plain icon only-phone"
          aria-label="Navigation"
          aria-expanded={isNavOpen}
          onClick={() => setNavOpen(!isNavOpen)}
        >
          <Icon name="menu" />
        </button>
        <Link href={current ? `/p/${current}/traces` : "/"} className="brand" aria-label="obsrv, traces">
          <img src="/favicon.svg" alt="" width="20" height="20" />
          <span>obsrv</span>
        </Link>
        <ProjectMenu current={current} />
        <div className="grow" />
        <button type="button" className="button plain find" onClick={() => setPaletteOpen(true)}>
          <Icon name="search" />
          <span className="wide-text">Go to…</span>
          <kbd className="not-phone">{/Mac/.test(navigator.userAgent) ? "⌘K" : "Ctrl K"}</kbd>
        </button>
        <button
          type="button"
          className="button plain icon not-phone"
          aria-label="All keys"
          title="All keys (?)"
          onClick={() => setHelpOpen(true)}
        >
          <Icon name="help" />
        </button>
        <AccountMenu me={me} />
      </header>
      <nav className={`side ${isNavOpen ? "open" : ""}`} aria-label="Pages">
        {current &&
          PLACES.map((place) => {
            const isHere = path.startsWith(`/p/${current}/${place.path}`);
            return (
              <Link
                key={place.path}
                href={`/p/${current}/${place.path}`}
                className="place"
                aria-current={isHere ? "page" : undefined}
                title={`${place.name} (g ${place.key})`}
              >
                <Icon name={place.icon} />
                <span>{place.name}</span>
              </Link>
            );
          })}
        <div className="grow" />
        <button
          type="button"
          className="place not-phone"
          aria-label={prefs.nav === "narrow" ? "Widen navigation" : "Narrow navigation"}
          onClick={() => setPrefs({ nav: prefs.nav === "narrow" ? "wide" : "narrow" })}
        >
          <Icon name={prefs.nav === "narrow" ? "right" : "left"} />
          <span>Narrow</span>
        </button>
      </nav>
      <main id="main" className="main" tabIndex={-1}>
        {projects.error ? (
          <Failure error={projects.error} retry={() => projects.refetch()} />
        ) : projects.data?.length === 0 && !path.startsWith("/o/") && path !== "/account" ? (
          <Empty title="No project yet">
            <p>Nobody has given you a project. Whoever runs this server can, or makes you a member.</p>
          </Empty>
        ) : (
          children
        )}
      </main>
      <Palette open={isPaletteOpen} close={() => setPaletteOpen(false)} project={current} />
      <ShortcutList open={isHelpOpen} close={() => setHelpOpen(false)} />
    </div>
  );
}

function remembered(known: string[] | undefined): string | null {
  const last = sessionStorage.getItem("obsrv.project");
  return known?.find((id) => id === last) ?? known?.[0] ?? null;
}

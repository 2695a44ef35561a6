// Which address shows which page. Whoever is not signed in gets the way in first, and then the page
// that they asked for.
import { useQuery, useQueryClient } from "@tanstack/react-query";
import { Component, lazy, type ReactNode, Suspense, useEffect } from "react";
import { Redirect, Route, Switch } from "wouter";
import { ApiError, get, whenSignedOut } from "./api/client";
import type { Me } from "./api/types";
import { Shell } from "./shell/shell";
import { TracesPage } from "./traces/page";
import { Empty, Failure, Ghosts } from "./ui/parts";
import { Toasts } from "./ui/toast";

const SignIn = lazy(() => import("./signin/signin"));
const LinkPage = lazy(() => import("./signin/link"));
const TracePage = lazy(() => import("./trace/page"));
const LogsPage = lazy(() => import("./logs/page"));
const MetricsPage = lazy(() => import("./metrics/page"));
const StartPage = lazy(() => import("./start/page"));
const ThreadsPage = lazy(() => import("./people/threads"));
const ThreadPage = lazy(() => import("./people/thread"));
const UsersPage = lazy(() => import("./people/users"));
const UserPage = lazy(() => import("./people/user"));
const ChartsPage = lazy(() => import("./charts/page"));
const ReviewPage = lazy(() => import("./review/page"));
const PathsPage = lazy(() => import("./paths/page"));
const ComparePage = lazy(() => import("./compare/page"));
const ProjectSettings = lazy(() => import("./settings/project"));
const OrgSettings = lazy(() => import("./settings/org"));
const AccountPage = lazy(() => import("./settings/account"));

export function App() {
  return (
    <Oops>
      <Suspense fallback={<Waiting />}>
        <Switch>
          <Route path="/setup">
            <LinkPage purpose="setup" />
          </Route>
          <Route path="/reset">
            <LinkPage purpose="reset" />
          </Route>
          <Route path="/verify">
            <LinkPage purpose="verify" />
          </Route>
          <Route path="/join">
            <LinkPage purpose="join" />
          </Route>
          <Route>
            <Inside />
          </Route>
        </Switch>
      </Suspense>
      <Toasts />
    </Oops>
  );
}

function Inside() {
  const queries = useQueryClient();
  const me = useQuery({
    queryKey: ["me"],
    queryFn: ({ signal }) => get<Me>("/v1/auth/me", {}, signal),
    staleTime: Number.POSITIVE_INFINITY,
  });
  useEffect(() => {
    whenSignedOut(() => queries.invalidateQueries({ queryKey: ["me"] }));
  }, [queries]);
  if (me.isPending) {
    return <Waiting />;
  }
  if (me.error instanceof ApiError && me.error.status === 401) {
    return <SignIn />;
  }
  if (!me.data) {
    return <Failure error={me.error} retry={() => me.refetch()} />;
  }
  return (
    <Shell me={me.data}>
      <Oops>
        <Suspense fallback={<Waiting />}>
          <Pages />
        </Suspense>
      </Oops>
    </Shell>
  );
}

function Pages() {
  return (
    <Switch>
      <Route path="/signin">
        <Redirect to="/" replace />
      </Route>
      <Route path="/account">
        <AccountPage />
      </Route>
      <Route path="/p/:project">{({ project }) => <Redirect to={`/p/${project}/traces`} replace />}</Route>
      <Route path="/p/:project/traces">
        {({ project }) => <TracesPage key={project} project={project} />}
      </Route>
      <Route path="/p/:project/traces/:id">
        {({ project, id }) => <TracePage key={`${project} ${id}`} project={project} id={id} />}
      </Route>
      <Route path="/p/:project/start">{({ project }) => <StartPage key={project} project={project} />}</Route>
      <Route path="/p/:project/logs">{({ project }) => <LogsPage key={project} project={project} />}</Route>
      <Route path="/p/:project/metrics">
        {({ project }) => <MetricsPage key={project} project={project} />}
      </Route>
      <Route path="/p/:project/threads">
        {({ project }) => <ThreadsPage key={project} project={project} />}
      </Route>
      <Route path="/p/:project/threads/:id">
        {({ project, id }) => <ThreadPage key={`${project} ${id}`} project={project} id={id} />}
      </Route>
      <Route path="/p/:project/users">{({ project }) => <UsersPage key={project} project={project} />}</Route>
      <Route path="/p/:project/users/:id">
        {({ project, id }) => <UserPage key={`${project} ${id}`} project={project} id={id} />}
      </Route>
      <Route path="/p/:project/charts">
        {({ project }) => <ChartsPage key={project} project={project} />}
      </Route>
      <Route path="/p/:project/charts/:id">
        {({ project, id }) => <ChartsPage key={project} project={project} id={id} />}
      </Route>
      <Route path="/p/:project/review">
        {({ project }) => <ReviewPage key={project} project={project} />}
      </Route>
      <Route path="/p/:project/paths">{({ project }) => <PathsPage key={project} project={project} />}</Route>
      <Route path="/p/:project/compare">
        {({ project }) => <ComparePage key={project} project={project} />}
      </Route>
      <Route path="/p/:project/settings">
        {({ project }) => <Redirect to={`/p/${project}/settings/keys`} replace />}
      </Route>
      <Route path="/p/:project/settings/:tab">
        {({ project, tab }) => <ProjectSettings key={project} project={project} tab={tab} />}
      </Route>
      <Route path="/o/:org">{({ org }) => <Redirect to={`/o/${org}/members`} replace />}</Route>
      <Route path="/o/:org/:tab">{({ org, tab }) => <OrgSettings key={org} org={org} tab={tab} />}</Route>
      <Route path="/">
        <Waiting />
      </Route>
      <Route>
        <Empty title="No such page">
          <p>The address leads nowhere in this version.</p>
        </Empty>
      </Route>
    </Switch>
  );
}

function Waiting() {
  return (
    <div className="waiting">
      <Ghosts />
    </div>
  );
}

// A fault of a page takes down that page, not the rest.
class Oops extends Component<{ children: ReactNode }, { error: unknown }> {
  override state: { error: unknown } = { error: null };

  static getDerivedStateFromError(error: unknown) {
    return { error };
  }

  override render() {
    if (this.state.error === null) {
      return this.props.children;
    }
    return <Failure error={this.state.error} retry={() => this.setState({ error: null })} />;
  }
}

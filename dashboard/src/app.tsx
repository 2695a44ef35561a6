// Which address shows which page. Whoever is not signed in gets the way in first, and then the page
// that they asked for.
import { useQuery, useQueryClient } from "@tanstack/react-query";
import { Component, type ReactNode, useEffect } from "react";
import { Redirect, Route, Switch } from "wouter";
import { ApiError, whenSignedOut } from "./api/client";
import { meOptions } from "./api/queries";
import { Shell } from "./shell/shell";
import { TracePage } from "./trace/soon";
import { TracesPage } from "./traces/page";
import { later } from "./ui/later";
import { Empty, Failure, Waiting } from "./ui/parts";
import { Toasts } from "./ui/toast";

const SignIn = later(() => import("./signin/signin"), Waiting);
const LinkPage = later(() => import("./signin/link"), Waiting);
const LogsPage = later(() => import("./logs/page"), Waiting);
const MetricsPage = later(() => import("./metrics/page"), Waiting);
const StartPage = later(() => import("./start/page"), Waiting);
const ThreadsPage = later(() => import("./people/threads"), Waiting);
const ThreadPage = later(() => import("./people/thread"), Waiting);
const UsersPage = later(() => import("./people/users"), Waiting);
const UserPage = later(() => import("./people/user"), Waiting);
const ChartsPage = later(() => import("./charts/page"), Waiting);
const ReviewPage = later(() => import("./review/page"), Waiting);
const PathsPage = later(() => import("./paths/page"), Waiting);
const ComparePage = later(() => import("./compare/page"), Waiting);
const ProjectSettings = later(() => import("./settings/project"), Waiting);
const OrgSettings = later(() => import("./settings/org"), Waiting);
const AccountPage = later(() => import("./settings/account"), Waiting);

export function App() {
  return (
    <Oops>
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
      <Toasts />
    </Oops>
  );
}

function Inside() {
  const queries = useQueryClient();
  const me = useQuery(meOptions);
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
        <Pages />
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

import { useQuery, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { del, get, part, post, put } from "../api/client";
import type { Items, Me } from "../api/types";
import { useMembers } from "../shell/people";
import { can } from "../shell/projects";
import { usePrefs } from "../state/prefs";
import { fullTime } from "../text/format";
import { Code, Dialog, Failure, Field, Ghosts, Icon, messageOf } from "../ui/parts";
import { Table } from "../ui/table";
import { toast } from "../ui/toast";

const ROLES: [string, string][] = [
  ["owner", "everything"],
  ["admin", "everything but deleting the organization and making owners"],
  ["member", "works with traces"],
  ["viewer", "reads traces"],
  ["auditor", "reads who may do what and who did what, but no trace"],
];

interface Invitation {
  id: number;
  email: string;
  role: string;
  expires_at: string;
}

export function MembersTab({ org, rights }: { org: string; rights: string[] }) {
  const { zone } = usePrefs();
  const queries = useQueryClient();
  const path = `/v1/orgs/${part(org)}`;
  const mayEdit = can(rights, "member.edit");
  const me = queries.getQueryData<Me>(["me"]);
  const [isInviting, setInviting] = useState(false);
  const members = useMembers(org);
  const invitations = useQuery({
    queryKey: ["invitations", org],
    queryFn: ({ signal }) => get<Items<Invitation>>(`${path}/invitations`, {}, signal),
  });
  const change = async (what: Promise<unknown>, done: string) => {
    try {
      await what;
      toast(done);
    } catch (error) {
      toast(messageOf(error), true);
    }
    await queries.invalidateQueries({ queryKey: ["members", org] });
    await queries.invalidateQueries({ queryKey: ["invitations", org] });
  };
  if (members.isError) {
    return <Failure error={members.error} retry={() => members.refetch()} />;
  }
  if (!members.data) {
    return <Ghosts />;
  }
  return (
    <div className="stack">
      <div className="row wrap">
        <p className="soft grow">A role here counts at every project of the organization.</p>
        {mayEdit && (
          <button type="button" className="button main" onClick={() => setInviting(true)}>
            <Icon name="plus" /> Invite
          </button>
        )}
      </div>
      <Table label="Members">
        <thead>
          <tr>
            <th>Person</th>
            <th>Role</th>
            <th>
              <span className="hidden-text">Actions</span>
            </th>
          </tr>
        </thead>
        <tbody>
          {members.data.items.map((member) => {
            const isMe = member.user === me?.user_id;
            const name = member.name ?? (isMe ? me.name : `User ${member.user}`);
            return (
              <tr key={member.user}>
                <td className="anywhere">
                  <b>{name}</b> {isMe && <span className="chip">you</span>}
                  <div className="soft">{member.email ?? (isMe ? me.email : "")}</div>
                </td>
                <td>
                  <select
                    className="input short"
                    aria-label={`Role of ${name}`}
                    disabled={!mayEdit}
                    value={member.role}
                    onChange={(event) =>
                      change(
                        put(`${path}/members/${member.user}`, { role: event.target.value }),
                        "Role changed",
                      )
                    }
                  >
                    {ROLES.map(([role, meaning]) => (
                      <option key={role} value={role} title={meaning}>
                        {role}
                      </option>
                    ))}
                  </select>
                </td>
                <td>
                  {mayEdit && !isMe && (
                    <button
                      type="button"
                      className="button small danger"
                      onClick={() => change(del(`${path}/members/${member.user}`), "Membership ended")}
                    >
                      Remove
                    </button>
                  )}
                </td>
              </tr>
            );
          })}
        </tbody>
      </Table>
      {(invitations.data?.items.length ?? 0) > 0 && (
        <section>
          <h2>Invited</h2>
          <Table label="Invited">
            <tbody>
              {invitations.data?.items.map((one) => (
                <tr key={one.id}>
                  <td className="anywhere">{one.email}</td>
                  <td>{one.role}</td>
                  <td className="soft">until {fullTime(one.expires_at, zone).slice(0, 16)}</td>
                  <td>
                    {mayEdit && (
                      <button
                        type="button"
                        className="button small"
                        onClick={() => change(del(`${path}/invitations/${one.id}`), "Invitation void")}
                      >
                        Withdraw
                      </button>
                    )}
                  </td>
                </tr>
              ))}
            </tbody>
          </Table>
        </section>
      )}
      <Invite
        path={path}
        open={isInviting}
        close={() => {
          setInviting(false);
          void queries.invalidateQueries({ queryKey: ["invitations", org] });
        }}
      />
    </div>
  );
}

function Invite({ path, open, close }: { path: string; open: boolean; close: () => void }) {
  const [email, setEmail] = useState("");
  const [role, setRole] = useState("member");
  const [wrong, setWrong] = useState<string | null>(null);
  const [link, setLink] = useState<string | null>(null);
  const shut = () => {
    setLink(null);
    setEmail("");
    close();
  };
  return (
    <Dialog title="Invite" open={open} close={shut}>
      {link ? (
        <>
          <p>Hand this link to {email}. It is shown this once and works once.</p>
          <Code text={link} />
          <div className="dialog-foot">
            <button type="button" className="button main" onClick={shut}>
              Done
            </button>
          </div>
        </>
      ) : (
        <form
          className="stack"
          onSubmit={async (event) => {
            event.preventDefault();
            setWrong(null);
            try {
              const made = await post<{ token: string }>(`${path}/invitations`, { email, role });
              setLink(`${window.location.origin}/join#token=${made.token}`);
            } catch (error) {
              setWrong(messageOf(error));
            }
          }}
        >
          <Field label="E-mail" wrong={wrong}>
            {(props) => (
              <input
                {...props}
                className="input"
                type="email"
                required
                value={email}
                onChange={(event) => setEmail(event.target.value)}
              />
            )}
          </Field>
          <Field label="Role" hint={ROLES.find(([name]) => name === role)?.[1]}>
            {(props) => (
              <select
                {...props}
                className="input"
                value={role}
                onChange={(event) => setRole(event.target.value)}
              >
                {ROLES.map(([name]) => (
                  <option key={name}>{name}</option>
                ))}
              </select>
            )}
          </Field>
          <div className="dialog-foot">
            <button type="button" className="button" onClick={shut}>
              Cancel
            </button>
            <button type="submit" className="button main">
              Make the link
            </button>
          </div>
        </form>
      )}
    </Dialog>
  );
}

// Steps as served, in a form that compares with what a program said.

/** Role, text, and uses of tools if there are any. */
export const saidIn = (step) =>
  step.messages.map(({ role, content, tool_calls }) => {
    const text = content.map((part) => part.text).join("");
    const calls = tool_calls.map(({ id, name, arguments: given }) => ({ id, name, given, result: undefined }));
    return calls.length > 0 ? [role, text, calls] : [role, text];
  });

export const callsOf = (step) => step.tool_calls.map(({ id, name, arguments: given, result }) => ({ id, name, given, result }));

/** The buckets, which must add up to the total. */
export function tokensOf({ token_usage }) {
  const { total, ...parts } = token_usage;
  if (total !== sum([parts])) throw new Error(`the parts do not add up: ${JSON.stringify(token_usage)}`);
  return parts;
}

export const sum = (usages) => usages.flatMap((usage) => Object.values(usage)).reduce((a, b) => a + b, 0);

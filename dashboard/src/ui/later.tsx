// Parts of the application that are loaded when they are first needed. Not by Suspense: that holds back what
// has come for 300 ms after it showed a fallback, and shows one even for what is loaded already.
import { type ComponentType, type ReactNode, useEffect, useState } from "react";

export interface Later<P> {
  (props: P): ReactNode;
  // Loads it, for when it is likely to be needed.
  soon: () => Promise<void>;
}

export function later<P extends object>(
  load: () => Promise<{ default: ComponentType<P> }>,
  meanwhile: (props: P) => ReactNode = () => null,
): Later<P> {
  let Loaded: ComponentType<P> | null = null;
  let loading: Promise<void> | null = null;
  const soon = () => {
    loading ??= load().then(
      (module) => {
        Loaded = module.default;
      },
      (error: unknown) => {
        // A new version may be there by now: whoever tries again asks again.
        loading = null;
        throw error;
      },
    );
    return loading;
  };
  function Part(props: P) {
    const [outcome, setOutcome] = useState<{ error: unknown } | "loaded" | null>(null);
    useEffect(() => {
      let isGone = false;
      if (Loaded === null) {
        soon().then(
          () => isGone || setOutcome("loaded"),
          (error: unknown) => isGone || setOutcome({ error }),
        );
      }
      return () => {
        isGone = true;
      };
    }, []);
    if (Loaded !== null) {
      return <Loaded {...props} />;
    }
    if (outcome !== null && outcome !== "loaded") {
      throw outcome.error;
    }
    return meanwhile(props);
  }
  return Object.assign(Part, { soon });
}

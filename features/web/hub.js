/**
 * One stream for all tabs, since a browser opens no more than six connections to a server. Who reads
 * it: a shared worker; where there are none (Chrome on Android) the tab that holds a lock; and where
 * there are no locks either (no secure origin) each tab for itself. Whoever it is tells the others
 * through a channel.
 */
import { lead } from "./stream.js";
import { unique } from "./net.js";

/** How long a tab waits for an answer before it takes the lock of one that sleeps. */
const PATIENCE = 4000;

// The one address of a script that is not written in a page: the policy names who may make it.
const policy = globalThis.trustedTypes?.createPolicy("veche", { createScriptURL: () => "/web/worker.js" });

/** Tells of `{state, until}` and `{events}` until it is stopped; gives back how to ask and stop. */
export function follow({ client, token }, tell) {
  let name = `veche-${client}`;
  const locks = !globalThis.SharedWorker && navigator.locks;
  if (!globalThis.SharedWorker && !locks) name += unique();
  const channel = new BroadcastChannel(name);
  let cursor;
  let heard = 0;
  let stopped = false;
  channel.onmessage = ({ data }) => {
    if (data.cursor) ({ cursor } = data);
    heard = Date.now();
    if (data.state || data.events) tell(data);
  };

  let free = () => {};
  function takeTurn(steal) {
    const options = steal ? { steal } : {};
    locks.request(name, options, () => {
      if (stopped) return;
      const stop = lead(name, token, cursor);
      return new Promise((done) => (free = done)).finally(stop);
    }).catch(() => {
      // Another tab took it, for this one slept: stand in line again.
      free();
      if (!stopped) takeTurn(false);
    });
  }

  function look() {
    if (document.visibilityState !== "visible") return;
    const asked = Date.now();
    channel.postMessage({ ask: true });
    setTimeout(() => {
      if (locks && heard < asked && !stopped) takeTurn(true);
    }, PATIENCE);
  }

  if (globalThis.SharedWorker) {
    const address = policy ? policy.createScriptURL("") : "/web/worker.js";
    const worker = new SharedWorker(address, { type: "module", name });
    worker.port.postMessage(token);
    // One that can't be loaded leaves each tab to itself.
    worker.onerror = () => lead(name, token, cursor);
  } else if (locks) {
    takeTurn(false);
  } else {
    lead(name, token);
  }
  channel.postMessage({ ask: true });
  document.addEventListener("visibilitychange", look);

  return {
    retry: () => channel.postMessage({ retry: true }),
    /** Ends it here; with `all` the stream too, since its token is dead. */
    stop(all) {
      stopped = true;
      if (all) channel.postMessage({ stop: true });
      document.removeEventListener("visibilitychange", look);
      free();
      channel.close();
    },
  };
}

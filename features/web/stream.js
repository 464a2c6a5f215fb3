/**
 * The stream of events, read by fetch: an `EventSource` can't send a token. It goes on by itself
 * where it broke off, and tells what is up: `{state, until, cursor}`, where `until` is when it is tried again
 * in milliseconds since 1970, or `{events, cursor}`.
 */
import { request } from "./net.js";

/** The server sends a sign of life every 15 seconds. */
const SILENCE = 40_000;

/** The events in a piece of the stream, `{id, event, data}` each. */
function parse(block) {
  const fields = Object.fromEntries(block.split("\n").map((line) => {
    const colon = line.indexOf(": ");
    return [line.slice(0, colon), line.slice(colon + 2)];
  }));
  return fields.data && { id: fields.id, event: fields.event, data: JSON.parse(fields.data) };
}

export function listen(token, cursor, tell) {
  let stopped = false;
  let failures = 0;
  let broken;
  /** Ends the pause between two tries, while there is one. */
  let hurry = null;

  async function read() {
    broken = new AbortController();
    let alarm = setTimeout(() => broken.abort(), SILENCE);
    try {
      const path = cursor ? `/events?after=${encodeURIComponent(cursor)}` : "/events";
      const { body } = await request(token, path, { headers: { Accept: "text/event-stream" }, signal: broken.signal });
      const reader = body.pipeThrough(new TextDecoderStream()).getReader();
      for (let rest = ""; ;) {
        const { done, value } = await reader.read();
        if (done || stopped) return;
        clearTimeout(alarm);
        alarm = setTimeout(() => broken.abort(), SILENCE);
        const blocks = (rest + value).split("\n\n");
        rest = blocks.pop();
        take(blocks.map(parse).filter(Boolean));
      }
    } finally {
      clearTimeout(alarm);
    }
  }

  function take(events) {
    if (!events.length) return;
    for (const { id, event, data } of events) {
      cursor = id ?? cursor;
      if (event === "hello" || event === "reset") cursor = data.cursor;
    }
    if (events[0].event === "hello" || events[0].event === "reset") {
      failures = 0;
      tell({ state: "open", cursor });
    }
    tell({ events, cursor });
  }

  async function run() {
    while (!stopped) {
      tell({ state: failures ? "offline" : "connecting", cursor });
      let wait = 0;
      try {
        await read();
      } catch (problem) {
        if (stopped) return;
        if (problem.code === "unauthorized") return tell({ state: "ended", cursor });
        wait = problem.wait ?? 0;
      }
      if (stopped) return;
      wait = Math.max(wait, Math.min(30, 2 ** failures++)) * (0.8 + Math.random() / 5);
      tell({ state: "offline", until: Date.now() + wait * 1000, cursor });
      await new Promise((go) => {
        hurry = go;
        setTimeout(go, wait * 1000);
      });
      hurry = null;
    }
  }
  run();

  return {
    get cursor() {
      return cursor;
    },
    /** Tries at once, and as one that has not failed yet: somebody looks, and waits. */
    retry() {
      if (!hurry) return;
      failures = 0;
      tell({ state: "connecting", cursor });
      hurry();
    },
    stop() {
      stopped = true;
      broken?.abort();
      hurry?.();
    },
  };
}

/**
 * Reads the stream for every tab: tells them all of it through the channel `name`, and answers
 * those that ask how things are. A page hears its own channel only through another object of it.
 */
export function lead(name, token, cursor) {
  const channel = new BroadcastChannel(name);
  let last;
  const tell = (message) => {
    if (message.state) last = message;
    channel.postMessage(message);
  };
  const stream = listen(token, cursor, tell);
  const stop = () => {
    stream.stop();
    channel.close();
  };
  channel.onmessage = ({ data }) => {
    if (data.ask || data.retry) stream.retry();
    if (data.ask) channel.postMessage({ ...last, cursor: stream.cursor });
    if (data.stop) stop();
  };
  return stop;
}

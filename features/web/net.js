/** Calls to the API. The token goes out in the header `Authorization` and nowhere else. */

const SESSION = "veche.session";
/** How long a call may take, in milliseconds. */
const PATIENCE = 30_000;

/** Who is connected here, `{name, client, token, hasPassword}`, or null. It lies in localStorage alone. */
export function session() {
  return JSON.parse(localStorage.getItem(SESSION));
}

export function setSession(value) {
  if (value) localStorage.setItem(SESSION, JSON.stringify(value));
  else localStorage.removeItem(SESSION);
}

/** A random name that nobody else gives; `crypto.randomUUID` is there on secure origins alone. */
export const unique = () => [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, "0")).join("");

/** Why something was not done: a problem of the API, or status 0 where no answer came. */
export class Refusal extends Error {
  constructor(problem, retryAfter) {
    super(problem.detail);
    Object.assign(this, problem);
    this.wait = Number(retryAfter) || 0;
  }

  /** Whether the same may well succeed later, without anybody's doing. */
  get passing() {
    return this.status === 0 || this.status === 408 || this.status >= 500;
  }
}

const silent = () => new Refusal({ status: 0, code: "offline", detail: "no answer" });

function refusal(status, text, retryAfter) {
  let problem = {};
  try {
    problem = JSON.parse(text);
  } catch {
    // Something between the page and the server answers in its own way.
  }
  return new Refusal({ status, detail: `the answer has status ${status}`, ...problem }, retryAfter);
}

/** A fetch with a token; throws a `Refusal` for all but success. */
export async function request(token, path, options = {}) {
  const headers = { ...options.headers };
  if (token) headers.Authorization = `Bearer ${token}`;
  let response;
  try {
    response = await fetch(path, { cache: "no-store", credentials: "omit", redirect: "error", ...options, headers });
  } catch (error) {
    throw error.name === "AbortError" ? error : silent();
  }
  if (!response.ok) throw refusal(response.status, await response.text().catch(() => ""), response.headers.get("Retry-After"));
  return response;
}

/** Tells the page that this client has ended. */
function ended(problem) {
  if (problem.code === "unauthorized") dispatchEvent(new Event("ended"));
  throw problem;
}

let skew = 0;

/** What time it is for the server, in milliseconds since 1970, to the second: the clock here may be wrong. */
export const now = () => Date.now() + skew;

async function call(method, path, body, key) {
  const headers = { Accept: "application/json" };
  if (body !== undefined) headers["Content-Type"] = "application/json";
  if (key) headers["Idempotency-Key"] = key;
  const options = { method, headers, body: body && JSON.stringify(body), signal: AbortSignal.timeout(PATIENCE) };
  const response = await request(session()?.token, path, options).catch(ended);
  const date = Date.parse(response.headers.get("Date"));
  if (date) skew = date - Date.now();
  const limit = response.headers.get("RateLimit");
  if (limit) dispatchEvent(new CustomEvent("limit", { detail: limit }));
  return response.status === 204 ? null : response.json();
}

export const get = (path) => call("GET", path);
export const post = (path, body = {}, key = unique()) => call("POST", path, body, key);
export const remove = (path) => call("DELETE", path);

/** The bytes of a file, as a Blob that no browser runs; `progress` hears how many are there. */
export async function download(path, type, progress, signal) {
  const { body } = await request(session()?.token, path, { signal }).catch(ended);
  const reader = body.getReader();
  const pieces = [];
  for (let all = 0; ;) {
    const { done, value } = await reader.read().catch((error) => {
      throw error.name === "AbortError" ? error : silent();
    });
    if (done) return new Blob(pieces, { type });
    pieces.push(value);
    all += value.length;
    progress(all);
  }
}

/** Uploads a file. `fetch` tells nothing of what is sent already, so this is the older way. */
export function upload(file, progress, signal) {
  return new Promise((done, fail) => {
    const http = new XMLHttpRequest();
    http.open("POST", `/files?name=${encodeURIComponent(file.name)}`);
    http.setRequestHeader("Authorization", `Bearer ${session()?.token}`);
    http.setRequestHeader("Content-Type", file.type || "application/octet-stream");
    http.setRequestHeader("Idempotency-Key", unique());
    http.upload.onprogress = (event) => progress(event.loaded / (event.total || 1));
    http.onerror = () => fail(silent());
    http.onload = () => {
      if (http.status < 300) done(JSON.parse(http.responseText));
      else fail(refusal(http.status, http.responseText, http.getResponseHeader("Retry-After")));
    };
    signal.addEventListener("abort", () => http.abort());
    http.send(file);
  });
}

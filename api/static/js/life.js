// A ticket's life on this page: sent, watched to its end, run again, canceled, erased.

import * as api from "./api.js";
import { remember, setOpen } from "./memory.js";
import { Problem } from "./problems.js";
import { pause, pauseSeconds, seen, Slots } from "./pauses.js";

export const UPLOAD_TRIES = 8; // about a minute and a half
const LONG_WAIT_SECONDS = 10;
const ENDS = new Set(["succeeded", "failed", "canceled"]);

// A browser opens six connections to an HTTP/1.1 host: long waits must leave room for uploads.
const uploads = new Slots(4);
const longWaits = new Slots(4);
const glances = new Slots(1);

/** One photo's way; `changed` is called after every visible change. */
export class Entry {
  constructor({ photo = null, id = null, name, at, batch = null, sent = null }) {
    Object.assign(this, { photo, id, name, at, batch, sent });
    this.phase = id ? "fetching" : "waiting"; // waiting, sending, fetching, live, refused, gone
    this.ticket = null;
    this.problem = null;
    this.pausing = null; // { problem, seconds } between two tries
    this.watched = false;
    this.acting = false; // a button's request is under way
    this.inSight = false; // see sight.js
    this.onceKey = randomId();
    this.changed = () => {};
  }

  get finished() {
    return this.phase === "live" && ENDS.has(this.ticket.status);
  }

  to(phase, problem = null) {
    Object.assign(this, { phase, problem, pausing: null });
    this.changed(this);
  }

  receive(ticket) {
    if (this.ticket && ticket.version < this.ticket.version) return; // an older answer, arriving late
    this.ticket = ticket;
    this.id = ticket.id;
    this.at = ticket.received_at ?? this.at;
    this.to("live");
    if (this.open === !this.finished) return;
    this.open = !this.finished;
    setOpen(this.id, this.open);
  }
}

/** Upload, then watch. */
export async function send(entry) {
  entry.to("waiting");
  const release = await uploads.take();
  try {
    entry.to("sending");
    const { data } = await persist(entry, () => upload(entry), UPLOAD_TRIES);
    remember(data.id, entry.name, data.received_at ?? new Date().toISOString());
    entry.receive(data);
  } catch (problem) {
    return end(entry, problem);
  } finally {
    release();
  }
  await watch(entry);
}

/** Ask for the ticket until it has ended: a few by long waits, the others by glances now and then. */
export async function watch(entry) {
  if (entry.watched) return;
  entry.watched = true;
  if (entry.phase !== "live") entry.to("fetching");
  try {
    while (!entry.finished && entry.phase !== "gone") {
      await seen();
      const release = longWaits.tryTake(uploads.taken ? 2 : 4);
      const restSeconds = release ? await longLook(entry, release) : await glance(entry);
      if (!entry.finished && restSeconds > 0) await pause(restSeconds);
    }
  } catch (problem) {
    end(entry, problem);
  } finally {
    entry.watched = false;
  }
}

/** Show a ticket once, and go on watching if it has not ended. */
export async function open(entry) {
  const { data } = await api.ticket(entry.id);
  entry.receive(data);
  if (!entry.finished) watch(entry);
}

export function cancel(entry) {
  return act(entry, async () => entry.receive((await api.cancel(entry.id)).data));
}

export function runAgain(entry) {
  entry.batch = null; // from here on its way is its own
  return act(entry, async () => {
    entry.receive((await api.retry(entry.id)).data);
    watch(entry);
  });
}

/** Erase photo and answer on the server; a ticket that is gone already counts as erased. */
export async function erase(entry) {
  let erased = false;
  await act(entry, async () => {
    await api.erase(entry.id).catch((problem) => {
      if (problem.status !== 404 && problem.status !== 410) throw problem;
    });
    entry.phase = "gone";
    erased = true;
  });
  return erased;
}

async function longLook(entry, release) {
  try {
    const waitSeconds = waitFor(entry.ticket);
    const started = performance.now();
    const { data, retryAfterSeconds } = await persist(entry, () => api.ticket(entry.id, waitSeconds));
    if (entry.phase !== "gone") entry.receive(data);
    const heldSeconds = (performance.now() - started) / 1000;
    return heldSeconds > 0.8 * waitSeconds ? 0 : Math.max(0.5, retryAfterSeconds ?? 1); // it did not hold: do not spin
  } finally {
    release();
  }
}

async function glance(entry) {
  const release = await glances.take();
  try {
    const { data, retryAfterSeconds } = await persist(entry, () => api.ticket(entry.id));
    if (entry.phase !== "gone") entry.receive(data);
    return Math.max(1, Math.min(retryAfterSeconds ?? 2, 15));
  } finally {
    release();
  }
}

/** Far from its turn a ticket is looked at more often, so that its place is seen to advance. */
function waitFor(ticket) {
  if (!ticket || ticket.status !== "queued") return ticket ? LONG_WAIT_SECONDS : 1;
  if (!ticket.position) return LONG_WAIT_SECONDS;
  return Math.max(1, Math.min(LONG_WAIT_SECONDS, Math.ceil((ticket.eta_seconds ?? 4) / 4)));
}

/** Repeat a call while its problem may pass by itself, with growing pauses that the reader sees. */
export async function persist(entry, call, tries = Infinity) {
  for (let failures = 1; ; failures += 1) {
    try {
      const result = await call();
      entry.pausing = null;
      return result;
    } catch (problem) {
      if (!problem.passing || failures >= tries || entry.phase === "gone") throw problem;
      const seconds = pauseSeconds(failures, problem.retryAfterSeconds);
      entry.pausing = { problem, seconds };
      entry.changed(entry);
      await pause(seconds);
    }
  }
}

async function upload(entry) {
  try {
    return await api.submit(entry.photo.file, entry.onceKey);
  } catch (problem) {
    if (problem.status === 0) await readable(entry.photo.file); // a vanished file looks like a lost network
    throw problem;
  }
}

/** Throws when a file has vanished since it was chosen. */
export async function readable(file) {
  try {
    await file.slice(0, 1).arrayBuffer();
  } catch {
    throw new Problem({ code: "file-gone", status: 0 });
  }
}

async function act(entry, action) {
  entry.acting = true;
  entry.changed(entry);
  try {
    await action();
  } catch (problem) {
    if (!(problem instanceof Problem)) throw problem;
    entry.problem = problem;
  } finally {
    entry.acting = false;
    entry.changed(entry);
  }
}

/** The problem that a ticket's way ended with, as its card shows it. */
export function end(entry, problem) {
  if (!(problem instanceof Problem)) throw problem;
  if (entry.phase === "gone") return;
  const gone = entry.id && (problem.status === 404 || problem.status === 410);
  if (gone) setOpen(entry.id, false);
  entry.to(gone ? "gone" : "refused", problem);
}

export function randomId() {
  return [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

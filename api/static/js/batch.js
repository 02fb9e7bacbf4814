// A batch's life on this page: some photos sent with one request, then asked after together.

import * as api from "./api.js";
import { end, persist, randomId, readable, UPLOAD_TRIES, watch as watchAlone } from "./life.js";
import { rememberAll } from "./memory.js";
import { pause, seen, Slots } from "./pauses.js";
import { Problem } from "./problems.js";

const STALE_MS = 5_000; // places in line move without any count of this batch changing
const LONGEST_REST_SECONDS = 30;
const uploads = new Slots(1); // one after the other: the first photos are read while the next are sent
const ENDED = ["succeeded", "failed", "canceled", "erased", "refused"];

/** Some entries on one way; `changed` is called after every visible change. */
export class Batch {
  #refreshed = { counts: "", at: 0 };

  constructor({ entries, sent, id = null, changed }) {
    Object.assign(this, { entries, sent, id, changed });
    this.phase = id ? "live" : "waiting"; // waiting, sending, live, refused, gone
    this.total = entries.length;
    this.leftOut = 0; // files that had vanished when they were to be sent
    this.counts = {};
    this.done = false;
    this.etaSeconds = null;
    this.problem = null;
    this.pausing = null; // { problem, seconds } between two tries
    this.restSeconds = id ? 0 : 1; // until it is asked after again
    this.renew();
  }

  /** The next upload is another request than any before. */
  renew() {
    this.onceKey = randomId();
    this.upload = new AbortController();
  }

  /** Nothing more happens to it by itself. */
  get over() {
    return this.done || this.phase === "refused" || this.phase === "gone";
  }

  /** How many photos need no more waiting for. */
  get ended() {
    if (this.over) return this.total;
    return ENDED.reduce((sum, status) => sum + (this.counts[status] ?? 0), 0);
  }

  to(phase) {
    Object.assign(this, { phase, pausing: null, problem: null });
    this.entries.filter(({ id }) => !id).forEach((entry) => entry.to(phase));
    this.changed(this);
  }

  /** The server took it: each photo has a ticket, or the reason why not. */
  accept(answer) {
    this.id = answer.id;
    this.phase = "live";
    for (const { id, index } of answer.jobs) Object.assign(this.entries[index], { id, batch: this.id, sent: this.sent, open: true });
    this.refuse(answer.refused);
    const taken = this.entries.filter(({ id }) => id);
    rememberAll(taken.map(({ id, name }) => ({ id, name, at: answer.received_at, batch: this.id, sent: this.sent })));
    taken.forEach((entry) => entry.to("fetching"));
    this.receive(answer);
  }

  refuse(files) {
    for (const { index, code, detail } of files) this.entries[index]?.to("refused", new Problem({ code, status: 422, detail }));
  }

  receive({ total, counts, done, eta_seconds: etaSeconds }) {
    Object.assign(this, { total, counts, done, etaSeconds, pausing: null });
    this.changed(this);
  }

  fail(problem) {
    if (!(problem instanceof Problem)) throw problem;
    if (this.phase === "gone") return;
    Object.assign(this, { phase: "refused", problem, pausing: null });
    if (problem.refused.length) this.refuse(problem.refused);
    else this.entries.filter((entry) => !entry.finished && entry.phase !== "refused").forEach((entry) => end(entry, problem));
    this.changed(this);
  }

  /** Whether its cards have to be read again now: something ended, or time has passed, and somebody can see it. */
  needsReading() {
    const waiting = this.entries.filter((entry) => !entry.finished && entry.id && entry.phase !== "gone");
    const news = this.#refreshed.counts !== JSON.stringify(this.counts);
    if (this.done) return waiting.length > 0;
    return waiting.some(({ inSight }) => inSight) && (news || performance.now() - this.#refreshed.at > STALE_MS);
  }

  markRead() {
    this.#refreshed = { counts: JSON.stringify(this.counts), at: performance.now() };
  }
}

/** Upload, then watch. `split` is called instead when the request is larger than something in between lets through. */
export async function send(batch, split) {
  batch.to("waiting");
  const release = await uploads.take();
  try {
    if (batch.phase === "gone") return;
    batch.to("sending");
    batch.accept((await persist(batch, () => upload(batch), UPLOAD_TRIES)).data);
  } catch (problem) {
    if (problem.status === 413 && batch.entries.length > 1) split(batch);
    else batch.fail(problem);
    return;
  } finally {
    release();
  }
  await watch(batch);
}

/** Take a failed batch up where it stopped; photos that went their own way meanwhile, or were put away, stay out. */
export function again(batch, split) {
  const kept = batch.entries.filter((entry) => entry.phase === "refused" && (entry.batch ?? null) === batch.id);
  if (batch.id) {
    kept.forEach((entry) => entry.to("fetching"));
    batch.to("live");
    return watch(batch);
  }
  if (kept.length < batch.entries.length) batch.renew();
  Object.assign(batch, { entries: kept, total: kept.length });
  return kept.length ? send(batch, split) : batch.to("gone");
}

/** Ask how far it is until it is done, and read its cards when there is something new to see on them. */
export async function watch(batch) {
  try {
    while (!batch.done || batch.needsReading()) {
      await seen();
      if (batch.needsReading()) await read(batch);
      if (batch.done) break;
      await pause(batch.restSeconds);
      const { data, retryAfterSeconds } = await persist(batch, () => api.batch(batch.id));
      batch.restSeconds = Math.max(1, Math.min(retryAfterSeconds ?? 2, LONGEST_REST_SECONDS));
      batch.receive(data);
    }
  } catch (problem) {
    if (problem.status !== 404 && problem.status !== 410) return batch.fail(problem);
    batch.phase = "gone"; // erased, or no longer known: each ticket tells for itself
    batch.changed(batch);
    batch.entries.filter((entry) => entry.id && !entry.finished).forEach(watchAlone);
  }
}

/** Withdraw what has not ended; what is still being sent is not sent. */
export async function cancel(batch) {
  if (batch.phase === "live") {
    if (batch.done) return;
    batch.receive((await api.cancelBatch(batch.id)).data);
    if (batch.needsReading()) await read(batch);
  } else if (batch.phase === "waiting" || batch.phase === "sending") {
    batch.phase = "gone";
    batch.upload.abort();
    batch.entries.forEach((entry) => end(entry, new Problem({ code: "not-sent" })));
    batch.changed(batch);
  }
}

async function read(batch) {
  batch.markRead();
  const { data } = await persist(batch, () => api.batchTickets(batch.id));
  const tickets = new Map(data.jobs.map((ticket) => [ticket.id, ticket]));
  for (const entry of batch.entries) {
    if (entry.phase === "gone" || entry.finished || !entry.id) continue;
    if (tickets.has(entry.id)) entry.receive(tickets.get(entry.id));
    else if (batch.done) watchAlone(entry); // erased: it says so itself
  }
}

async function upload(batch) {
  try {
    return await api.submitBatch(batch.entries.map(({ photo }) => photo.file), batch.onceKey, batch.upload.signal);
  } catch (problem) {
    if (problem.status === 0 && batch.phase !== "gone") await leaveOutVanished(batch); // looks like a lost network
    throw problem;
  }
}

async function leaveOutVanished(batch) {
  const kept = [];
  for (const entry of batch.entries) {
    try {
      await readable(entry.photo.file);
      kept.push(entry);
    } catch (problem) {
      end(entry, problem);
    }
  }
  if (kept.length === batch.entries.length) return;
  batch.leftOut += batch.entries.length - kept.length;
  Object.assign(batch, { entries: kept, total: kept.length, onceKey: randomId() });
  if (!kept.length) throw new Problem({ code: "file-gone", status: 0 });
}

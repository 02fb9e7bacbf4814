// The service's HTTP interface, one function per route; knows nothing of the page.

import { fetchBlob, reach, send } from "./http.js";
import { keyHeader, withKey } from "./key.js";
import { Problem } from "./problems.js";

const PATIENCE_MS = 20_000; // beyond the wait that was asked for; uploads have no limit

/** POST one photo. The same `onceKey` on a repeated try lets the server know it for the same. */
export function submit(file, onceKey) {
  const form = new FormData();
  form.append("file", file, file.name);
  return withKey((key) => send("v1/jobs", { method: "POST", body: form, headers: { ...key, "Idempotency-Key": onceKey } }));
}

/** GET a ticket; with waitSeconds the server holds the answer until the end or so long. */
export function ticket(id, waitSeconds = 0) {
  const wait = waitSeconds ? { Prefer: `wait=${waitSeconds}` } : {};
  const limitMs = waitSeconds * 1000 + PATIENCE_MS;
  return withKey((key) => send(jobPath(id), { headers: { ...key, ...wait }, limitMs }));
}

export function erase(id) {
  return withKey((key) => send(jobPath(id), { method: "DELETE", headers: key, limitMs: PATIENCE_MS }));
}

export function cancel(id) {
  return withKey((key) => send(`${jobPath(id)}/cancel`, { method: "POST", headers: key, limitMs: PATIENCE_MS }));
}

export function retry(id) {
  return withKey((key) => send(`${jobPath(id)}/retry`, { method: "POST", headers: key, limitMs: PATIENCE_MS }));
}

/** POST several photos as one batch; aborting the signal ends the upload. */
export function submitBatch(files, onceKey, signal) {
  const form = new FormData();
  for (const file of files) form.append("files", file, file.name);
  return withKey((key) => send("v1/batches", { method: "POST", body: form, signal, headers: { ...key, "Idempotency-Key": onceKey } }));
}

/** GET how far a batch is. */
export function batch(id) {
  return withKey((key) => send(batchPath(id), { headers: key, limitMs: PATIENCE_MS }));
}

/** GET the tickets of a batch, all in one answer: this page sends fewer in each. */
export function batchTickets(id) {
  const query = new URLSearchParams({ batch: id, limit: 200 });
  return withKey((key) => send(`v1/jobs?${query}`, { headers: key, limitMs: PATIENCE_MS }));
}

export function cancelBatch(id) {
  return withKey((key) => send(`${batchPath(id)}/cancel`, { method: "POST", headers: key, limitMs: PATIENCE_MS }));
}

/** GET a batch's results as text, "json" or "csv". */
export async function batchResults(id, kind) {
  const path = `${batchPath(id)}/results${kind === "csv" ? ".csv" : ""}`;
  const content = await withKey((key) => fetchBlob(path, { headers: key, limitMs: PATIENCE_MS }));
  return content.text();
}

/** GET the models with the key at hand, asking nobody for one. */
export function models() {
  return send("v1/models", { headers: keyHeader(), limitMs: PATIENCE_MS });
}

/** GET readiness: `{ ready, checks }`, whether the status is 200 or 503. */
export async function readiness() {
  const response = await reach("readyz", { limitMs: PATIENCE_MS });
  try {
    const body = await response.json();
    if (typeof body.ready === "boolean") return body;
  } catch {
    // answered by something in between
  }
  throw new Problem({ code: "network", status: 0 });
}

const jobPath = (id) => `v1/jobs/${encodeURIComponent(id)}`;
const batchPath = (id) => `v1/batches/${encodeURIComponent(id)}`;

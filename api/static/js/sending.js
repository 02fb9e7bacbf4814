// What was sent with one press of the button: one batch, or several when there is much of it.

import * as api from "./api.js";
import { again, Batch, cancel, send, watch } from "./batch.js";
import { randomId } from "./life.js";
import { Problem } from "./problems.js";

// A lost connection costs no more than this, and proxies commonly let a request of this size through.
const MOST_PHOTOS = 100;
const MOST_BYTES = 95_000_000;

export class Sending {
  /** Several entries to send; or `batches` that were sent before the page was loaded anew. */
  constructor({ at, entries = [], id = randomId(), batches = null }) {
    Object.assign(this, { at, id });
    this.problem = null; // of a button's request
    this.acting = false;
    this.changed = () => {};
    this.batches = batches ?? cut(entries).map((some) => this.#batch(some));
    this.batches.forEach((batch) => (batch.changed = () => this.changed(this)));
  }

  get total() {
    return this.#sum(({ total, leftOut }) => total + leftOut);
  }

  get ended() {
    return this.#sum(({ ended, leftOut }) => ended + leftOut);
  }

  get answered() {
    return this.#sum(({ counts }) => counts.succeeded ?? 0);
  }

  get over() {
    return this.batches.every(({ over }) => over);
  }

  /** Until its last photo; null while nobody knows. */
  get etaSeconds() {
    const known = this.batches.map(({ etaSeconds }) => etaSeconds).filter((seconds) => typeof seconds === "number");
    return known.length ? Math.max(...known) : null;
  }

  /** What can be sent again: a file that is no photo stays none, and one that is gone stays away. */
  get failed() {
    return this.batches.filter(({ phase, problem }) => phase === "refused" && !problem.refused.length && problem.code !== "file-gone");
  }

  start() {
    this.batches.forEach((batch) => send(batch, this.#split));
  }

  watch() {
    this.batches.forEach(watch);
  }

  again() {
    this.failed.forEach((batch) => again(batch, this.#split));
  }

  cancelAll() {
    return this.#act(() => Promise.all(this.batches.map(cancel)));
  }

  /** The results of all as one text, "json" or "csv"; null when they cannot be had now. */
  async results(kind) {
    const sent = this.batches.filter(({ id }) => id);
    let text = null;
    await this.#act(async () => {
      const texts = [];
      for (const batch of sent) texts.push(await api.batchResults(batch.id, kind));
      const offsets = sent.map((_, index) => sent.slice(0, index).reduce((sum, { total }) => sum + total, 0));
      text = kind === "csv" ? joinedCsv(texts, offsets) : joinedJson(texts, offsets);
    });
    return text;
  }

  /** A request that was too large goes as two. */
  #split = (batch) => {
    const middle = Math.ceil(batch.entries.length / 2);
    const halves = [batch.entries.slice(0, middle), batch.entries.slice(middle)].map((some) => this.#batch(some));
    this.batches.splice(this.batches.indexOf(batch), 1, ...halves);
    halves.forEach((half) => send(half, this.#split));
  };

  #batch(entries) {
    return new Batch({ entries, sent: this.id, changed: () => this.changed(this) });
  }

  #sum(numberOf) {
    return this.batches.reduce((sum, batch) => sum + numberOf(batch), 0);
  }

  async #act(action) {
    if (this.acting) return;
    Object.assign(this, { acting: true, problem: null });
    this.changed(this);
    try {
      await action();
    } catch (problem) {
      if (!(problem instanceof Problem)) throw problem;
      this.problem = problem;
    } finally {
      this.acting = false;
      this.changed(this);
    }
  }
}

/** The sendings that these remembered entries came from. */
export function resumed(entries) {
  return grouped(entries.filter(({ batch }) => batch), "sent").map(([sent, some]) => {
    const batches = grouped(some, "batch").map(([id, its]) => new Batch({ id, sent, entries: its, changed: () => {} }));
    return new Sending({ id: sent, at: some[0].at, batches });
  });
}

function grouped(entries, field) {
  const values = new Set(entries.map((entry) => entry[field]));
  return [...values].map((value) => [value, entries.filter((entry) => entry[field] === value)]);
}

function cut(entries) {
  const parts = [];
  let bytes = 0;
  for (const entry of entries) {
    const { size } = entry.photo.file;
    const last = parts.at(-1);
    if (!last || last.length === MOST_PHOTOS || bytes + size > MOST_BYTES) {
      parts.push([entry]);
      bytes = size;
    } else {
      last.push(entry);
      bytes += size;
    }
  }
  return parts;
}

function joinedJson(texts, offsets) {
  if (texts.length === 1) return texts[0];
  const parts = texts.map((text) => JSON.parse(text));
  const results = parts.flatMap((part, at) => part.results.map((row) => ({ ...row, index: row.index + offsets[at] })));
  return JSON.stringify({ batches: parts.map(({ batch }) => batch), done: parts.every(({ done }) => done), results });
}

/** One header, the fullest: a part without answers has no columns for classes. A file's name may hold a line break. */
function joinedCsv(texts, offsets) {
  if (texts.length === 1) return texts[0];
  const parts = texts.map((text) => text.match(/(?:"(?:[^"]|"")*"|[^"\r\n])+/g) ?? []);
  const [header] = parts.map(([first]) => first ?? "").sort((one, other) => other.length - one.length);
  const rows = parts.flatMap(([, ...lines], at) => lines.map((line) => line.replace(/^\d+/, (index) => Number(index) + offsets[at])));
  return `${[header, ...rows].join("\r\n")}\r\n`;
}

// What can go wrong, as one class, and the plain sentence for each kind.

import { maybe, t } from "./texts.js";

const PASSING = new Set([0, 408, 425, 429, 502, 503, 504]);

/** A refusal by the server (RFC 9457 problem), or no answer at all (status 0, code "network"). */
export class Problem extends Error {
  constructor({ code, status, detail = "", requestId = "", retryAfterSeconds = null, refused = [] }) {
    super(detail || code);
    Object.assign(this, { code, status, detail, requestId, retryAfterSeconds, refused });
  }

  /** True when the same request may succeed later without anyone changing anything. */
  get passing() {
    return PASSING.has(this.status) && this.code !== "file-gone";
  }
}

/** The problem in a response that is not a success; proxies in between may not speak JSON. */
export async function problemOf(response) {
  let body = {};
  try {
    body = (await response.json()) ?? {};
  } catch {
    // not JSON: the status alone must do
  }
  return new Problem({
    code: typeof body.code === "string" ? body.code : "",
    status: response.status,
    detail: typeof body.detail === "string" ? body.detail : "",
    requestId: typeof body.request_id === "string" ? body.request_id : "",
    retryAfterSeconds: retryAfter(response),
    refused: Array.isArray(body.refused) ? body.refused : [], // a batch's files, each with its own reason
  });
}

/** Seconds that the server asks to wait, or null. */
export function retryAfter(response) {
  const seconds = Number.parseFloat(response.headers.get("Retry-After"));
  return Number.isFinite(seconds) && seconds >= 0 ? seconds : null;
}

/** The reader's sentence for a problem. */
export function title({ code, status }) {
  return maybe(`problem.${code}`) ?? t(byStatus(status));
}

/** The small print: what the server said itself, and the request to quote to an operator. */
export function smallPrint({ detail, requestId }) {
  return [detail, requestId && t("problem.request", { id: requestId })].filter(Boolean).join(" · ");
}

function byStatus(status) {
  if (status === undefined) return "problem.failed";
  if (status === 0) return "problem.network";
  if (status === 401) return "problem.unauthorized";
  if (status === 403) return "problem.forbidden";
  if (status === 404) return "problem.unknown-job";
  if (status === 410) return "problem.job-erased";
  if (status === 413) return "problem.upload-too-large";
  if (PASSING.has(status)) return "problem.busy";
  return status >= 500 ? "problem.internal-error" : "problem.other";
}

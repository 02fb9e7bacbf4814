// One request: a success as data, everything else as a Problem.

import { Problem, problemOf, retryAfter } from "./problems.js";

/** { data, retryAfterSeconds } of a success. Throws Problem for everything else. */
export async function send(path, options = {}) {
  const response = await reach(path, options);
  if (!response.ok) throw await problemOf(response);
  try {
    return { data: response.status === 204 ? null : await response.json(), retryAfterSeconds: retryAfter(response) };
  } catch {
    throw new Problem({ code: "network", status: 0 }); // cut off, or answered by something in between
  }
}

/** A success as a file's content. Throws Problem for everything else. */
export async function fetchBlob(path, options = {}) {
  const response = await reach(path, options);
  if (!response.ok) throw await problemOf(response);
  try {
    return await response.blob();
  } catch {
    throw new Problem({ code: "network", status: 0 });
  }
}

/** The response, whatever its status; `limitMs` bounds the whole exchange. */
export async function reach(path, { limitMs, ...options } = {}) {
  const signal = limitMs ? AbortSignal.timeout(limitMs) : undefined;
  try {
    return await fetch(new URL(path, document.baseURI), { cache: "no-store", credentials: "same-origin", signal, ...options });
  } catch {
    throw new Problem({ code: "network", status: 0 });
  }
}

// Waiting: growing pauses, limited slots, and rest while nobody looks.

const LONGEST_SECONDS = 30;
const HIDDEN_REST_MS = 120_000;

/** Seconds before try number `failures + 1`: 1, 2, 4 … 30, never less than the server asks. */
export function pauseSeconds(failures, retryAfterSeconds) {
  const growing = Math.min(LONGEST_SECONDS, 2 ** Math.max(0, failures - 1));
  return Math.max(growing, Math.min(retryAfterSeconds ?? 0, 600));
}

/** Resolves after so many seconds, or at once when the browser comes back online. */
export function pause(seconds) {
  return new Promise((resolve) => {
    const done = () => {
      clearTimeout(timer);
      removeEventListener("online", done);
      resolve();
    };
    const timer = setTimeout(done, seconds * 1000);
    addEventListener("online", done);
  });
}

let hiddenSince = 0;
document.addEventListener("visibilitychange", () => {
  hiddenSince = document.hidden ? Date.now() : 0;
});

/** Resolves at once while the page is seen, else, when hidden for long, once it is seen again. */
export function seen() {
  if (!document.hidden || Date.now() - hiddenSince < HIDDEN_REST_MS) return Promise.resolve();
  return new Promise((resolve) => document.addEventListener("visibilitychange", resolve, { once: true }));
}

/** A fixed number of places; `take` waits for one, `tryTake` does not. Both give its release. */
export class Slots {
  #waiting = [];

  constructor(places) {
    this.places = places;
    this.taken = 0;
  }

  tryTake(limit = this.places) {
    if (this.taken >= limit) return null;
    this.taken += 1;
    return () => {
      this.taken -= 1;
      this.#waiting.shift()?.();
    };
  }

  async take() {
    for (;;) {
      const release = this.tryTake();
      if (release) return release;
      await new Promise((resolve) => this.#waiting.push(resolve));
    }
  }
}

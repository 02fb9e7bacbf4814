// The tickets that this browser took: id, file name, time, whether the end was seen, and the batch. No photos, no keys.

const KEPT = "turno.tickets";
const MOST = 1000;

/** Newest first: [{ id, name, at, open }]; with `batch` and `sent`, which sending it was, when it came in a batch. */
export function remembered() {
  try {
    const list = JSON.parse(localStorage.getItem(KEPT) ?? "[]");
    return Array.isArray(list) ? list.filter((item) => item && typeof item.id === "string") : [];
  } catch {
    return [];
  }
}

export function remember(id, name, at) {
  rememberAll([{ id, name, at }]);
}

/** Many at once, in their order. */
export function rememberAll(items) {
  const ids = new Set(items.map(({ id }) => id));
  const fresh = items.map((item) => ({ ...item, open: true }));
  keep([...fresh, ...remembered().filter(({ id }) => !ids.has(id))].slice(0, MOST));
}

/** Note whether a ticket still waits for its end; open ones are watched again after a reload. */
export function setOpen(id, open) {
  keep(remembered().map((item) => (item.id === id ? { ...item, open } : item)));
}

export function forget(id) {
  keep(remembered().filter((item) => item.id !== id));
}

function keep(list) {
  try {
    localStorage.setItem(KEPT, JSON.stringify(list));
  } catch {
    // storage refused or full: tickets last as long as the page
  }
}

// The tickets that this browser took: id, file name, time, and whether the end was seen. No photos, no keys.

const KEPT = "turno.tickets";
const MOST = 100;

/** Newest first: [{ id, name, at, open }]. */
export function remembered() {
  try {
    const list = JSON.parse(localStorage.getItem(KEPT) ?? "[]");
    return Array.isArray(list) ? list.filter((item) => item && typeof item.id === "string") : [];
  } catch {
    return [];
  }
}

export function remember(id, name, at) {
  keep([{ id, name, at, open: true }, ...remembered().filter((item) => item.id !== id)].slice(0, MOST));
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

// Whether the service can work: the state in the header and the banner below it.

import { readiness } from "./api.js";
import { onLanguage, t } from "./texts.js";

const SOON_MS = 2_000;
const LATER_MS = 20_000;
const header = document.getElementById("state");
const text = document.getElementById("state-text");
const banner = document.getElementById("banner");

let state = "unknown";
let detail = "";

/** unknown, ready, preparing, line, trouble or gone. */
export const serviceState = () => state;

/** Ask now and again, more often while something is missing; `changed` after every change. */
export function startReady(changed) {
  let timer = 0;
  const ask = async () => {
    clearTimeout(timer);
    const before = state;
    await look();
    show();
    if (state !== before) changed(state);
    timer = setTimeout(ask, state === "ready" ? LATER_MS : SOON_MS);
  };
  const askIfSeen = () => document.hidden || ask();
  document.addEventListener("visibilitychange", askIfSeen);
  addEventListener("online", ask);
  addEventListener("offline", ask);
  onLanguage(show);
  show();
  ask();
}

async function look() {
  try {
    const { ready, checks = {} } = await readiness();
    const wrong = (name) => name in checks && checks[name] !== "ok";
    const others = Object.keys(checks).filter((name) => name !== "worker" && name !== "line" && wrong(name));
    if (ready) state = "ready";
    else if (others.length) state = "trouble";
    else if (wrong("line")) state = "line";
    else state = "preparing";
    detail = Object.values(checks).filter((value) => value !== "ok").join(" · ");
  } catch {
    state = "gone";
    detail = "";
  }
}

function show() {
  header.dataset.state = state;
  text.textContent = t(state === "line" ? "state.trouble" : `state.${state}`);
  const calm = state === "ready" || state === "unknown";
  banner.hidden = calm;
  banner.dataset.kind = state === "preparing" || state === "line" ? "wait" : "fault";
  const sentence = calm ? "" : t(`banner.${state}`);
  if (banner.firstChild?.textContent === sentence && banner.title === detail) return; // do not say it again
  banner.textContent = sentence;
  banner.title = detail;
}

// The API key: asked for when one is needed, checked, kept for this tab's session only.

import { send } from "./http.js";
import { Problem } from "./problems.js";
import { t } from "./texts.js";

const KEPT = "turno.key";
const dialog = document.getElementById("key-dialog");
const input = document.getElementById("key-input");
const fault = document.getElementById("key-fault");
const ok = document.getElementById("key-ok");
const button = document.getElementById("key-button");

let key = kept();
let asking = null;

const header = (value) => (value ? { "X-API-Key": value } : {});

/** The header of the key in use, empty without one. */
export const keyHeader = () => header(key);

/** Run `call(header)`; when the server wants a key, ask for it and run again. */
export async function withKey(call) {
  for (;;) {
    const used = key;
    try {
      return await call(header(used));
    } catch (problem) {
      if (problem.status !== 401) throw problem;
      needKey();
      const renewed = key !== used || (await ask(used ? "key.revoked" : null));
      if (!renewed) throw problem;
    }
  }
}

/** Show the header's button: this service wants a key. */
export function needKey() {
  button.hidden = false;
}

/** Open the dialog, or join it when it is open; resolves to whether a key was accepted. */
export function ask(faultKey = null) {
  asking ??= new Promise((resolve) => {
    fault.textContent = faultKey ? t(faultKey) : "";
    input.value = "";
    dialog.returnValue = "";
    dialog.addEventListener("close", () => {
      asking = null;
      resolve(dialog.returnValue === "accepted");
    }, { once: true });
    dialog.showModal();
    input.focus();
  });
  return asking;
}

export function startKey() {
  if (key) needKey();
  button.addEventListener("click", () => ask());
  document.getElementById("key-cancel").addEventListener("click", () => dialog.close(""));
  document.getElementById("key-form").addEventListener("submit", (event) => {
    event.preventDefault();
    check(input.value.trim());
  });
}

async function check(candidate) {
  if (!candidate) return say("key.empty");
  if (!/^[\x21-\x7e]+$/.test(candidate)) return say("key.wrong"); // no header can carry it
  ok.disabled = true;
  ok.textContent = t("key.checking");
  try {
    await send("v1/models", { headers: header(candidate), limitMs: 20_000 });
    accept(candidate);
  } catch (problem) {
    if (!(problem instanceof Problem)) throw problem;
    if (problem.status === 401) say("key.wrong");
    else if (problem.passing) say("key.unchecked");
    else accept(candidate); // a key with fewer rights may not list models
  } finally {
    ok.disabled = false;
    ok.textContent = t("key.ok");
  }
}

function say(faultKey) {
  fault.textContent = t(faultKey);
  input.setAttribute("aria-invalid", "true");
  input.focus();
  input.select();
}

function accept(candidate) {
  key = candidate;
  input.removeAttribute("aria-invalid");
  input.value = "";
  try {
    sessionStorage.setItem(KEPT, candidate);
  } catch {
    // storage refused: the key lasts as long as the page
  }
  needKey();
  dialog.close("accepted");
  document.dispatchEvent(new Event("turno:key"));
}

function kept() {
  try {
    return sessionStorage.getItem(KEPT) ?? "";
  } catch {
    return "";
  }
}

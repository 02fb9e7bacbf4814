// Tickets that this browser took before and that no card shows now.

import { say } from "./announce.js";
import { forget, remembered } from "./memory.js";
import { title } from "./problems.js";
import { moment, number, t } from "./texts.js";

const FEW = 6;
const section = document.getElementById("earlier");
const heading = document.getElementById("earlier-title");
const list = document.getElementById("earlier-list");
const more = document.getElementById("earlier-more");
const template = document.getElementById("t-earlier");
const notes = new Map(); // id → why it could not be opened

let all = false;
let shownIds = () => new Set();
let actions = {};

/** `open(item)` and `erase(item)` throw a Problem; `shown()` gives the ids that have a card. */
export function startEarlier({ open, erase, shown }) {
  actions = { open, erase };
  shownIds = shown;
  more.addEventListener("click", () => {
    all = true;
    renderEarlier();
    heading.focus();
  });
  document.getElementById("earlier-clear").addEventListener("click", () => {
    hidden().forEach(({ id }) => forget(id));
    renderEarlier();
    say(t("earlier.cleared"));
    document.getElementById("tickets-title").focus();
  });
  renderEarlier();
}

export function renderEarlier() {
  const items = hidden();
  section.hidden = items.length === 0;
  list.replaceChildren(...(all ? items : items.slice(0, FEW)).map(row));
  more.hidden = all || items.length <= FEW;
  more.textContent = t("earlier.more", { n: number(items.length) });
}

function hidden() {
  const shown = shownIds();
  return remembered().filter(({ id }) => !shown.has(id));
}

function row(item) {
  const element = template.content.firstElementChild.cloneNode(true);
  const note = notes.get(item.id);
  const over = note?.status === 404 || note?.status === 410;
  element.querySelector(".earlier-name").textContent = item.name;
  element.querySelector("time").textContent = moment(item.at);
  element.querySelector(".earlier-note").textContent = note ? title(note) : "";
  const openButton = element.querySelector(".open");
  openButton.hidden = over;
  wire(openButton, "earlier.open", item, () => attempt(item, actions.open));
  const eraseButton = element.querySelector(".erase");
  if (over) {
    eraseButton.classList.remove("danger");
    wire(eraseButton, "earlier.forget", item, () => leave(item));
  } else {
    wire(eraseButton, "action.erase", item, () => askFirst(eraseButton, item));
  }
  return element;
}

function wire(button, key, item, action) {
  button.textContent = t(key);
  const label = key.startsWith("earlier") ? t(`${key}.label`, { name: item.name }) : t("action.of", { action: t(key), name: item.name });
  button.setAttribute("aria-label", label);
  button.addEventListener("click", action);
}

function askFirst(button, item) {
  if (button.classList.contains("sure")) return attempt(item, actions.erase);
  button.classList.add("sure");
  button.textContent = t("action.erase.sure");
  button.setAttribute("aria-label", t("action.of", { action: t("action.erase.sure"), name: item.name }));
  button.addEventListener("blur", renderSoon, { once: true });
}

/** After the click that took the focus away has been handled. */
function renderSoon() {
  setTimeout(renderEarlier, 200);
}

async function attempt(item, action) {
  try {
    await action(item);
    notes.delete(item.id);
  } catch (problem) {
    if (problem.status === undefined) throw problem;
    notes.set(item.id, problem);
    say(`${item.name}: ${title(problem)}`);
  }
  renderEarlier();
  if (notes.has(item.id)) focusRow(item.id);
}

function focusRow(id) {
  const index = hidden().findIndex((item) => item.id === id);
  list.children[index]?.querySelector("button:not([hidden])")?.focus();
}

function leave(item) {
  forget(item.id);
  notes.delete(item.id);
  renderEarlier();
  (list.querySelector("button") ? heading : document.getElementById("tickets-title")).focus();
}

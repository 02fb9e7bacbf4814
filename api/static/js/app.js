// Puts the page together: what is chosen becomes cards, and cards live until they are put away.

import { say } from "./announce.js";
import { Card } from "./card.js";
import { startChooser } from "./chooser.js";
import { renderEarlier, startEarlier } from "./earlier.js";
import { startKey } from "./key.js";
import { loadLabels } from "./labels.js";
import * as life from "./life.js";
import { forget, remembered } from "./memory.js";
import { startReady } from "./ready.js";
import { resumed, Sending } from "./sending.js";
import { renderSendings, showSending } from "./sendingline.js";
import { unnotice } from "./sight.js";
import { count, currentLanguage, onLanguage, setLanguage, t, translate } from "./texts.js";
import { startTray } from "./tray.js";

const list = document.getElementById("cards");
const heading = document.getElementById("tickets-title");
const cards = new Set();

const actions = {
  again(card) {
    const { entry } = card;
    if (entry.acting) return;
    if (entry.phase !== "refused") life.runAgain(entry);
    else if (entry.id) life.watch(entry);
    else life.send(entry);
    card.article.focus();
  },
  cancel(card) {
    if (card.entry.acting) return;
    life.cancel(card.entry);
    card.article.focus();
  },
  async erase(card) {
    if (card.entry.acting || !(await life.erase(card.entry))) return;
    forget(card.entry.id);
    say(t("said.erased", { name: card.entry.name }));
    takeAway(card);
  },
  remove(card) {
    if (card.entry.id) forget(card.entry.id);
    takeAway(card);
  },
  putAway(card) {
    takeAway(card);
  },
};

/** A card for each entry, above the others and in the given order. */
function addCards(entries) {
  const added = entries.map((entry) => {
    const card = new Card(entry, actions);
    cards.add(card);
    entry.changed = () => card.render();
    return card;
  });
  list.prepend(...added.map(({ element }) => element));
  document.getElementById("how").hidden = true;
  renderEarlier();
  return added;
}

function takeAway(card) {
  const next = card.element.nextElementSibling ?? card.element.previousElementSibling;
  card.element.remove();
  unnotice(card.element);
  cards.delete(card);
  Object.assign(card.entry, { phase: "gone", changed: () => {} });
  card.entry.photo?.dispose();
  document.getElementById("how").hidden = cards.size > 0;
  renderEarlier();
  (next?.querySelector("article") ?? heading).focus();
}

function predict(photos) {
  const at = new Date().toISOString();
  const entries = photos.map((photo) => new life.Entry({ photo, name: photo.name, at }));
  addCards(entries);
  heading.focus({ preventScroll: true });
  const { top } = heading.getBoundingClientRect();
  if (top < 0 || top > innerHeight / 2) heading.scrollIntoView({ block: "start" });
  say(count("said.sent", entries.length, { name: entries[0].name }));
  if (entries.length === 1) return life.send(entries[0]);
  const sending = new Sending({ at, entries });
  showSending(sending, heading);
  sending.start();
}

async function openEarlier(item) {
  const entry = new life.Entry({ ...item, batch: null });
  await life.open(entry);
  const [card] = addCards([entry]);
  card.article.focus();
}

async function eraseEarlier(item) {
  const entry = new life.Entry(item);
  if (!(await life.erase(entry))) throw entry.problem;
  forget(item.id);
  say(t("said.erased", { name: item.name }));
  heading.focus();
}

/** Tickets that had not ended when the page was left are watched again. */
function resume() {
  const entries = remembered().filter(({ open }) => open).map((item) => new life.Entry(item));
  if (!entries.length) return;
  addCards(entries);
  entries.filter(({ batch }) => !batch).forEach(life.watch);
  for (const sending of resumed(entries)) {
    showSending(sending, heading);
    sending.watch();
  }
}

function renderAll() {
  cards.forEach((card) => card.render());
  renderSendings();
}

function showLanguage() {
  document.documentElement.lang = currentLanguage();
  document.title = t("title");
  translate(document);
  for (const button of document.querySelectorAll("[data-language]")) {
    button.setAttribute("aria-pressed", String(button.dataset.language === currentLanguage()));
  }
}

function start() {
  showLanguage();
  onLanguage(() => {
    showLanguage();
    renderAll();
    renderEarlier();
  });
  for (const button of document.querySelectorAll("[data-language]")) {
    button.addEventListener("click", () => setLanguage(button.dataset.language));
  }
  document.addEventListener("turno:key", loadLabels);
  document.addEventListener("turno:labels", () => {
    Card.labels += 1;
    renderAll();
  });
  startKey();
  startTray(predict);
  startChooser();
  startReady((state) => {
    renderAll();
    if (state !== "gone") loadLabels();
  });
  startEarlier({ open: openEarlier, erase: eraseEarlier, shown: () => new Set([...cards].map(({ entry }) => entry.id)) });
  resume();
}

start();

// The page's language: which one, how it is switched, and how a key becomes a sentence.

import { en } from "./texts.en.js";
import { es } from "./texts.es.js";

const TEXTS = { en, es };
const REMEMBERED = "turno.language";

let language = initial();

export const currentLanguage = () => language;

/** The sentence for a key, `{name}` filled from values; undefined when there is none. */
export function maybe(key, values = {}) {
  const sentence = TEXTS[language][key];
  return sentence?.replace(/\{(\w+)\}/g, (_, name) => values[name] ?? "");
}

/** The sentence for a key that must exist. */
export function t(key, values) {
  return maybe(key, values) ?? key;
}

/** One or many: `key.one` for exactly one, else `key.many`. */
export function count(key, n, values = {}) {
  return t(`${key}.${n === 1 ? "one" : "many"}`, { n: number(n), ...values });
}

/** From texts by language, the reader's, else English, else any. */
export function pick(byLanguage) {
  if (!byLanguage) return undefined;
  return byLanguage[language] ?? byLanguage.en ?? Object.values(byLanguage)[0];
}

/** The reader's own variant of the language, for numbers and hours. */
function locale() {
  return navigator.languages.find((tag) => tag.startsWith(language)) ?? language;
}

export function number(value, digits = 3) {
  return new Intl.NumberFormat(locale(), { maximumFractionDigits: digits }).format(value);
}

/** A probability as people read it: never "100 %" or "0 %" for what is not quite so. */
export function percent(probability) {
  const form = new Intl.NumberFormat(locale(), { style: "percent", maximumFractionDigits: 0 });
  if (probability >= 0.995) return `> ${form.format(0.99)}`;
  if (probability > 0 && probability < 0.005) return `< ${form.format(0.01)}`;
  return form.format(probability);
}

/** A moment, the day left out when it is today. */
export function moment(time) {
  const date = new Date(time);
  if (Number.isNaN(date.getTime())) return "";
  const today = date.toDateString() === new Date().toDateString();
  const form = today ? { timeStyle: "short" } : { dateStyle: "medium", timeStyle: "short" };
  return new Intl.DateTimeFormat(locale(), form).format(date);
}

/** Write the sentences into every element marked with data-t or data-t-label. */
export function translate(root) {
  for (const element of root.querySelectorAll("[data-t]")) element.textContent = t(element.dataset.t);
  for (const element of root.querySelectorAll("[data-t-label]")) element.setAttribute("aria-label", t(element.dataset.tLabel));
}

/** Switch, remember, and tell everyone who listens on `onLanguage`. */
export function setLanguage(next) {
  language = next;
  try {
    localStorage.setItem(REMEMBERED, next);
  } catch {
    // storage refused: the choice lasts as long as the page
  }
  document.dispatchEvent(new Event("turno:language"));
}

export function onLanguage(listener) {
  document.addEventListener("turno:language", listener);
}

function initial() {
  let remembered = null;
  try {
    remembered = localStorage.getItem(REMEMBERED);
  } catch {
    // storage refused: the browser's own language it is
  }
  if (remembered in TEXTS) return remembered;
  const wanted = navigator.languages.map((tag) => tag.slice(0, 2)).find((tag) => tag in TEXTS);
  return wanted ?? "en";
}

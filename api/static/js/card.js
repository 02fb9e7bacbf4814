// One ticket as a card: its photo, its progress, its answer, its buttons.

import { say } from "./announce.js";
import { showAnswer, summary } from "./answer.js";
import { eta } from "./eta.js";
import { smallPrint, title } from "./problems.js";
import { serviceState } from "./ready.js";
import { notice } from "./sight.js";
import { count, currentLanguage, moment, number, t } from "./texts.js";

const template = document.getElementById("t-card");

export class Card {
  #shown = ""; // what the answer region shows, so that it is built once
  #said = "";
  #sure = false; // the erase button was pressed once

  /** `actions`: again, remove, cancel, erase, putAway; each is called with this card. */
  constructor(entry, actions) {
    this.entry = entry;
    this.element = template.content.firstElementChild.cloneNode(true);
    this.article = this.element.querySelector("article");
    this.field = Object.fromEntries([...this.element.querySelectorAll("[data-f]")].map((part) => [part.dataset.f, part]));
    entry.photo?.show(this.field.photo);
    notice(this.element, entry);
    this.field.again.addEventListener("click", () => (this.lost ? actions.remove(this) : actions.again(this)));
    this.field.cancel.addEventListener("click", () => actions.cancel(this));
    this.field.putAway.addEventListener("click", () => actions.putAway(this));
    this.field.erase.addEventListener("click", () => this.#erase(actions));
    this.field.erase.addEventListener("blur", () => this.#setSure(false));
    this.render();
  }

  /** Nothing can be tried any more: gone on the server, or its file was never kept. */
  get lost() {
    const { phase, id, photo, problem } = this.entry;
    return phase === "gone" || problem?.code === "file-gone" || (phase === "refused" && !id && !photo);
  }

  render() {
    const { entry, field } = this;
    this.article.dataset.phase = entry.finished ? entry.ticket.status : entry.phase;
    this.article.setAttribute("aria-label", entry.name);
    field.name.textContent = entry.name;
    field.time.textContent = moment(entry.at);
    field.time.dateTime = entry.at;
    field.number.hidden = !entry.id;
    if (entry.id) {
      field.number.textContent = t("number", { number: entry.id.slice(-4).toUpperCase() });
      field.number.title = t("number.label", { id: entry.id });
    }
    this.#progress();
    this.#answer();
    this.#problem();
    this.#buttons();
    this.#speak();
  }

  #progress() {
    const { entry, field } = this;
    const going = !entry.finished && !["refused", "gone"].includes(entry.phase);
    field.progress.hidden = !going;
    if (!going) return;
    const [ahead, sentence] = placeOf(entry);
    field.ahead.hidden = ahead === "";
    field.ahead.textContent = ahead;
    field.placeText.textContent = sentence;
    field.place.classList.toggle("pausing", Boolean(entry.pausing));
    const now = stepOf(entry);
    [...field.steps.children].forEach((step, index) => {
      step.firstElementChild.textContent = t(["step.send", "step.line", "step.read", "step.done"][index]);
      step.dataset.step = index < now ? "past" : index === now ? "now" : "next";
      step.toggleAttribute("aria-current", index === now);
    });
  }

  #answer() {
    const { entry, field } = this;
    const there = entry.phase !== "gone" && entry.ticket?.status === "succeeded" && Boolean(entry.ticket.result);
    field.answer.hidden = !there;
    field.receipt.hidden = !there;
    const wanted = there ? `${entry.id} ${entry.ticket.version} ${currentLanguage()} ${Card.labels}` : "";
    if (there && wanted !== this.#shown) showAnswer(field.answer, field.receipt, entry.ticket);
    this.#shown = wanted;
  }

  #problem() {
    const { entry, field } = this;
    const problem = entry.problem ?? (entry.finished ? entry.ticket.error : null);
    const canceled = entry.finished && entry.ticket.status === "canceled" && !entry.problem;
    field.problem.hidden = !problem && !canceled;
    field.problem.classList.toggle("mild", canceled);
    field.problemTitle.textContent = canceled ? t("canceled") : problem ? title(problem) : "";
    field.problemDetail.textContent = problem ? smallPrint(problem) : "";
  }

  #buttons() {
    const { entry, field } = this;
    const over = entry.finished || entry.phase === "refused";
    const failed = entry.finished && entry.ticket.status !== "succeeded";
    this.#button(field.again, entry.phase === "refused" || failed || this.lost, this.lost ? "remove" : failed ? "rerun" : "again");
    this.#button(field.cancel, entry.phase === "live" && !entry.finished, "cancel");
    this.#button(field.erase, Boolean(entry.id) && over && !this.lost, this.#sure ? "erase.sure" : "erase");
    field.putAway.hidden = !over || this.lost;
    field.putAway.title = t("action.put-away");
    field.putAway.setAttribute("aria-label", t("action.of", { action: t("action.put-away"), name: entry.name }));
  }

  #button(button, there, action) {
    button.hidden = !there;
    button.setAttribute("aria-disabled", String(this.entry.acting)); // stays focusable, unlike disabled
    button.textContent = t(`action.${action}`);
    button.setAttribute("aria-label", t("action.of", { action: t(`action.${action}`), name: this.entry.name }));
  }

  #erase(actions) {
    if (!this.#sure) return this.#setSure(true);
    this.#setSure(false);
    actions.erase(this);
  }

  #setSure(sure) {
    this.#sure = sure;
    this.field.erase.classList.toggle("sure", sure);
    this.#buttons();
  }

  /** Ends and problems are spoken, each once; places in line are not, and of a batch its line speaks. */
  #speak() {
    const { entry } = this;
    if (entry.batch) return;
    let sentence = "";
    if (entry.problem) sentence = title(entry.problem);
    else if (entry.finished && entry.ticket.status === "succeeded") sentence = summary(entry.ticket);
    else if (entry.finished) sentence = this.field.problemTitle.textContent;
    const mark = sentence && `${entry.id} ${entry.ticket?.version} ${entry.problem?.code}`;
    if (mark && mark !== this.#said) say(`${entry.name}: ${sentence}`);
    this.#said = mark;
  }
}

Card.labels = 0; // grows whenever the class names were read anew

function stepOf({ phase, ticket }) {
  if (phase === "waiting" || phase === "sending") return 0;
  return ticket?.status === "running" ? 2 : 1;
}

/** [number shown large or "", sentence beside it]. */
function placeOf(entry) {
  if (entry.pausing) {
    return ["", t("place.retry", { title: title(entry.pausing.problem), n: number(Math.ceil(entry.pausing.seconds)) })];
  }
  if (entry.phase !== "live") return ["", t(`place.${entry.phase}`)];
  const { status, position } = entry.ticket;
  if (status === "running") return ["", t("place.running")];
  if (serviceState() === "preparing") return position > 0 ? ahead(entry.ticket) : ["", t("place.preparing")];
  if (position === null || position === undefined) return ["", withEta("place.queued", entry.ticket)];
  return position === 0 ? ["", withEta("place.next", entry.ticket)] : ahead(entry.ticket);
}

function ahead({ position, eta_seconds: seconds }) {
  return [number(position), [count("place.ahead", position), eta(seconds)].filter(Boolean).join(", ")];
}

function withEta(key, { eta_seconds: seconds }) {
  return [t(key), eta(seconds)].filter(Boolean).join(", ");
}

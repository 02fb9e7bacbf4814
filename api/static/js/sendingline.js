// The line above the cards that says how far several photos sent together are, with what can be done to all of them.

import { say } from "./announce.js";
import { eta } from "./eta.js";
import { smallPrint, title } from "./problems.js";
import { number, t } from "./texts.js";

const list = document.getElementById("sendings");
const template = document.getElementById("t-sending");
const KINDS = { csv: "text/csv", json: "application/json" };
const BYTE_ORDER_MARK = "\ufeff"; // without it Excel takes the accents of file names for something else
const KEEP_URL_MS = 60_000; // until the browser has saved the file

const lines = new Set();

/** Show a sending until it is put away; the focus goes to `home` then. */
export function showSending(sending, home) {
  const line = new Line(sending, home);
  lines.add(line);
  list.prepend(line.element);
}

export function renderSendings() {
  lines.forEach((line) => line.render());
}

class Line {
  #over = false;

  constructor(sending, home) {
    this.sending = sending;
    this.element = template.content.firstElementChild.cloneNode(true);
    this.field = Object.fromEntries([...this.element.querySelectorAll("[data-f]")].map((part) => [part.dataset.f, part]));
    const { cancel, again, putAway } = this.field;
    cancel.addEventListener("click", () => sending.cancelAll());
    again.addEventListener("click", () => sending.again());
    for (const kind of Object.keys(KINDS)) this.field[kind].addEventListener("click", () => this.#save(kind));
    putAway.addEventListener("click", () => {
      lines.delete(this);
      this.element.remove();
      home.focus();
    });
    sending.changed = () => this.render();
    this.render();
  }

  render() {
    const { sending, field } = this;
    const { total, ended, over } = sending;
    const problem = sending.problem ?? sending.failed[0]?.problem;
    this.element.setAttribute("aria-label", t("batch.label", { n: number(total) }));
    field.sentence.textContent = sentenceOf(sending);
    Object.assign(field.bar, { max: total, value: ended });
    field.bar.setAttribute("aria-label", t("batch.progress", { n: number(ended), total: number(total) }));
    field.problem.hidden = !problem;
    field.problem.textContent = problem ? [title(problem), smallPrint(problem)].filter(Boolean).join(" ") : "";
    this.#button("cancel", !over);
    this.#button("again", sending.failed.length > 0);
    for (const kind of Object.keys(KINDS)) this.#button(kind, sending.answered > 0);
    field.putAway.hidden = !over;
    field.putAway.title = t("batch.put-away");
    field.putAway.setAttribute("aria-label", t("batch.put-away"));
    if (over && !this.#over) say(field.sentence.textContent);
    this.#over = over;
  }

  #button(name, there) {
    const button = this.field[name];
    const focused = button === document.activeElement;
    button.hidden = !there;
    button.setAttribute("aria-disabled", String(this.sending.acting));
    button.textContent = t(`batch.${name}`);
    if (focused && !there) this.element.focus(); // a button that goes must not take the focus with it
  }

  /** A link could not carry the key: fetched here, then handed to the browser as a file. */
  async #save(kind) {
    const text = await this.sending.results(kind);
    if (text === null) return;
    const url = URL.createObjectURL(new Blob([kind === "csv" ? BYTE_ORDER_MARK : "", text], { type: KINDS[kind] }));
    const link = document.createElement("a");
    link.href = url;
    link.download = `turno-${this.sending.at.slice(0, 16).replaceAll(":", "")}.${kind}`;
    link.click();
    setTimeout(() => URL.revokeObjectURL(url), KEEP_URL_MS);
  }
}

function sentenceOf(sending) {
  const { batches, total, ended, answered, over } = sending;
  if (over) return answered === total && total > 1 ? t("batch.answered", { n: number(total) }) : t("batch.over", { n: number(answered), total: number(total) });
  const pausing = batches.find((batch) => batch.pausing)?.pausing;
  if (pausing) return t("place.retry", { title: title(pausing.problem), n: number(Math.ceil(pausing.seconds)) });
  if (batches.every(({ phase }) => phase === "waiting" || phase === "sending")) return t("batch.sending", { n: number(total) });
  const left = eta(sending.etaSeconds);
  return [t("batch.progress", { n: number(ended), total: number(total) }), left && t("batch.left", { eta: left })].filter(Boolean).join(", ");
}

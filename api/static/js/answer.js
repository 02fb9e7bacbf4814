// The diagnosis on a ticket: verdict, one plain line, a bar per class, and the receipt.

import { calibrated } from "./calibrated.js";
import { labelName } from "./labels.js";
import { count, maybe, number, percent, pick, t } from "./texts.js";

const STAGES = ["queued", "claimed", "decoded", "inferred", "stored"];
const KINDS = new Set(["diagnosed", "uncertain", "not_recognised"]);
const template = document.getElementById("t-answer");
const barTemplate = document.getElementById("t-bar");

/** The short form, for the screen reader and the list. */
export function summary({ result }) {
  return `${heading(result)}, ${percent(probability(result))} ${t("probability")}.`;
}

/** Fill a place with the answer of a succeeded ticket, and the details element with how it came about. */
export function showAnswer(place, details, ticket) {
  const content = template.content.cloneNode(true);
  const { result } = ticket;
  place.dataset.tone = tone(result);
  content.querySelector(".kind").textContent = t(`kind.${kindOf(result)}`);
  content.querySelector(".diagnosis").textContent = heading(result);
  content.querySelector(".probability b").textContent = percent(probability(result));
  content.querySelector(".probability span").textContent = t("probability");
  content.querySelector(".advice").textContent = advice(result);
  const found = hints(result);
  content.querySelector(".hints").replaceChildren(...found);
  content.querySelector(".hints").hidden = found.length === 0;
  content.querySelector("caption").textContent = t("bars");
  content.querySelector("tbody").append(...bars(result));
  content.querySelector(".own").textContent = own(result);
  place.replaceChildren(content);
  details.querySelector("summary").textContent = t("receipt");
  details.querySelector("dl").replaceChildren(...receipt(ticket));
}

function kindOf({ verdict }) {
  return KINDS.has(verdict?.kind) ? verdict.kind : "diagnosed";
}

/** Good and bad news have colours only where the model has a class "healthy". */
function tone(result) {
  if (kindOf(result) !== "diagnosed") return kindOf(result);
  if (!("healthy" in (result.probabilities ?? {}))) return "plain";
  return result.predicted_class === "healthy" ? "good" : "bad";
}

function className(result) {
  return pick(result.verdict?.name) ?? labelName(result.model?.name, result.predicted_class);
}

function probability({ verdict, confidence }) {
  return verdict?.probability ?? confidence;
}

/** The number that the model gave itself, and what a diagnosis asks for. */
function own({ confidence, verdict }) {
  if (verdict?.threshold === undefined) return t("own", { p: percent(confidence) });
  return t("own.threshold", { p: percent(confidence), threshold: percent(verdict.threshold) });
}

function heading(result) {
  return kindOf(result) === "uncertain" ? t("maybe", { name: className(result) }) : className(result);
}

function advice(result) {
  const kind = kindOf(result);
  const { verdict } = result;
  if (verdict?.reason_code === "perhaps_not_recognised") {
    const values = { p: percent(verdict.not_recognised_probability), threshold: percent(verdict.not_recognised_threshold) };
    return t("advice.perhaps_not_recognised", values);
  }
  if (kind === "uncertain") {
    const values = { p: percent(verdict.probability), threshold: percent(verdict.threshold) };
    return t("advice.uncertain", { name: className(result), ...values });
  }
  return pick(verdict?.advice) ?? t(`advice.${kind}`);
}

/** What may be wrong with the photo, in the reader's language; a hint that this page does not know as it was sent. */
function hints({ hints: found }) {
  return (Array.isArray(found) ? found : []).map(({ code, value, limit, text }) => {
    const item = document.createElement("li");
    item.textContent = maybe(`hint.${code}`, { value: number(value), limit: number(limit) }) ?? text;
    return item;
  });
}

function bars(result) {
  const rows = Object.entries(calibrated(result)).sort(([, one], [, other]) => other - one);
  return rows.map(([labelId, value]) => {
    const row = barTemplate.content.firstElementChild.cloneNode(true);
    row.querySelector("th").textContent = labelName(result.model?.name, labelId);
    row.querySelector(".track span").style.inlineSize = `${Math.max(0, Math.min(1, value)) * 100}%`;
    row.querySelector(".percent").textContent = percent(value);
    row.classList.toggle("best", labelId === result.predicted_class);
    return row;
  });
}

function verified({ largest_shift: shift, images }) {
  return count("receipt.verified", images, { shift: number(Number((shift ?? 0).toPrecision(2)), 8) });
}

function receipt({ id, attempt, timeline, result }) {
  const { model } = result;
  const lines = [[t("receipt.ticket"), id]];
  if (model) {
    lines.push([t("receipt.model"), [model.name, model.version].filter(Boolean).join(" ")]);
    if (model.sha256) lines.push([t("receipt.file"), `sha256 ${model.sha256.slice(0, 12)}…`]);
    if (model.engine) lines.push([t("receipt.engine"), [model.engine, model.precision].filter(Boolean).join(", ")]);
    if (model.verified?.images) lines.push([t("receipt.verified"), verified(model.verified)]);
  }
  if (attempt > 1) lines.push([t("receipt.attempts"), number(attempt)]);
  const times = { ...result.timeline, ...timeline };
  for (const stage of STAGES) {
    if (typeof times[stage] === "number") lines.push([maybe(`time.${stage}`), t("ms", { n: number(Math.round(times[stage])) })]);
  }
  return lines.map(([name, value]) => {
    const line = document.createElement("div");
    const term = document.createElement("dt");
    const detail = document.createElement("dd");
    term.textContent = name;
    detail.textContent = value;
    line.append(term, detail);
    return line;
  });
}

// What the served models call their classes, in the reader's language.

import { models } from "./api.js";
import { needKey } from "./key.js";
import { pick } from "./texts.js";

let cards = [];

/** A class's name: translated, or its id made readable. */
export function labelName(modelName, labelId) {
  const card = cards.find(({ name }) => name === modelName) ?? (cards.length === 1 ? cards[0] : null);
  const label = card?.labels?.find(({ id }) => id === labelId);
  return pick(label?.name) ?? prettified(labelId);
}

/** False when the bundled examples are nothing for the model that is served. */
export function examplesFit() {
  return cards.length === 0 || cards.some(({ name }) => name === "leaf-health");
}

/** Read the models again; without a valid key only note that one is needed. */
export async function loadLabels() {
  try {
    const { data } = await models();
    cards = Array.isArray(data?.models) ? data.models : [];
    document.dispatchEvent(new Event("turno:labels"));
  } catch (problem) {
    if (problem.status === 401) needKey();
  }
}

function prettified(id) {
  const words = String(id).replaceAll(/[_-]+/g, " ").trim();
  return words.charAt(0).toUpperCase() + words.slice(1);
}

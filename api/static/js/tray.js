// The photos chosen and not yet sent.

import { count, onLanguage, t } from "./texts.js";
import { say } from "./announce.js";
import { isPhoto, Photo } from "./photo.js";

const MOST_NAMES = 1;
const tray = document.getElementById("tray");
const list = document.getElementById("tray-list");
const predict = document.getElementById("predict");
const refused = document.getElementById("refused");
const template = document.getElementById("t-chosen");

let photos = [];

/** Add files; what is no photo is left out and said so. */
export function addFiles(files) {
  const all = [...files];
  const good = all.filter(isPhoto);
  const bad = all.filter((file) => !isPhoto(file));
  refuse(bad.length ? count("refused", bad.length, { names: bad.slice(0, MOST_NAMES).map((file) => file.name).join(", ") }) : "");
  const fresh = good.filter((file) => !photos.some((photo) => same(photo.file, file))).map((file) => new Photo(file));
  photos.push(...fresh);
  list.append(...fresh.map(item));
  if (fresh.length) say(count("tray.added", fresh.length));
  refresh();
}

/** Show a sentence under the drop area; an empty one hides it. */
export function refuse(sentence) {
  refused.textContent = sentence;
  refused.hidden = !sentence;
}

/** Hand over what was chosen and stand empty. */
export function takeAll() {
  const taken = photos;
  photos = [];
  list.replaceChildren();
  refresh();
  return taken;
}

export function startTray(onPredict) {
  predict.addEventListener("click", () => onPredict(takeAll()));
  document.getElementById("clear").addEventListener("click", () => {
    takeAll().forEach((photo) => photo.dispose());
    document.getElementById("choose").focus();
  });
  onLanguage(() => {
    [...list.children].forEach((element, index) => label(element, photos[index]));
    refuse("");
    refresh();
  });
  refresh();
}

function item(photo) {
  const element = template.content.firstElementChild.cloneNode(true);
  element.querySelector(".chosen-name").textContent = photo.name;
  label(element, photo);
  photo.show(element.querySelector("img"));
  element.querySelector(".remove").addEventListener("click", () => {
    const neighbour = element.nextElementSibling ?? element.previousElementSibling;
    photos = photos.filter((other) => other !== photo);
    element.remove();
    photo.dispose();
    refresh();
    (neighbour?.querySelector(".remove") ?? document.getElementById("choose")).focus();
  });
  return element;
}

function label(element, photo) {
  element.querySelector(".remove").setAttribute("aria-label", t("tray.remove", { name: photo.name }));
}

function refresh() {
  tray.hidden = photos.length === 0;
  predict.textContent = count("predict", Math.max(1, photos.length));
}

function same(one, other) {
  return one.name === other.name && one.size === other.size && one.lastModified === other.lastModified;
}

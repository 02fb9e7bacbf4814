// What a screen reader hears: short sentences, gathered for a moment so that many do not drown each other.

import { count } from "./texts.js";

const GATHER_MS = 600;
const MOST = 4;
const region = document.getElementById("announcer");

let gathered = [];

export function say(sentence) {
  gathered.push(sentence);
  if (gathered.length === 1) setTimeout(speak, GATHER_MS);
}

function speak() {
  const sentences = gathered.length > MOST
    ? [count("said", gathered.length), ...gathered.slice(-1)]
    : gathered;
  gathered = [];
  region.textContent = sentences.join(" ");
}

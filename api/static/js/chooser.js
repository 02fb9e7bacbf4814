// The ways a photo comes in: chosen, taken, dropped anywhere, pasted, or one of the examples.

import { examplesFit } from "./labels.js";
import { t } from "./texts.js";
import { addFiles, refuse } from "./tray.js";

const drop = document.getElementById("drop");

export function startChooser() {
  opens("choose", "files");
  opens("camera", "shot");
  document.body.classList.toggle("touch", navigator.maxTouchPoints > 0);
  startDrop();
  addEventListener("paste", (event) => {
    if (event.clipboardData?.files.length) addFiles(event.clipboardData.files);
  });
  for (const button of document.querySelectorAll("[data-example]")) {
    button.addEventListener("click", () => addExample(button.dataset.example));
  }
  document.addEventListener("turno:labels", () => {
    document.getElementById("examples").hidden = !examplesFit();
  });
}

function opens(buttonId, inputId) {
  const input = document.getElementById(inputId);
  document.getElementById(buttonId).addEventListener("click", () => input.click());
  input.addEventListener("change", () => {
    addFiles(input.files);
    input.value = ""; // the same file may be chosen again
    document.getElementById("predict").focus();
  });
}

function startDrop() {
  let depth = 0; // enter and leave come for every element under the pointer
  const over = (event) => [...(event.dataTransfer?.types ?? [])].includes("Files");
  const mark = (inside) => {
    drop.classList.toggle("over", inside);
    drop.querySelector(".drop-text").textContent = t(inside ? "drop.now" : "drop");
  };
  addEventListener("dragenter", (event) => {
    if (over(event) && (depth += 1) === 1) mark(true);
  });
  addEventListener("dragleave", (event) => {
    if (over(event) && (depth = Math.max(0, depth - 1)) === 0) mark(false);
  });
  addEventListener("dragover", (event) => {
    if (over(event)) event.preventDefault();
  });
  addEventListener("drop", (event) => {
    if (!over(event)) return;
    event.preventDefault();
    depth = 0;
    mark(false);
    addFiles(event.dataTransfer.files);
  });
}

async function addExample(name) {
  try {
    const response = await fetch(new URL(`static/examples/${name}.jpg`, document.baseURI));
    if (!response.ok) throw new TypeError(response.statusText);
    addFiles([new File([await response.blob()], `${name}.jpg`, { type: "image/jpeg", lastModified: 0 })]);
  } catch {
    refuse(t("example.missing"));
  }
}

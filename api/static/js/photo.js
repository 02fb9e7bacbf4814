// A chosen file and its preview; large photos are scaled down off the main thread, two at a time.

import { Slots } from "./pauses.js";

const SMALL_BYTES = 300_000;
const PREVIEW_WIDTH_PX = 640;
const TYPES = new Set(["image/png", "image/jpeg", "image/jpg", "image/pjpeg"]);
const scaling = new Slots(2);

/** True for what the service may take; a file without a known type is judged by its name. */
export function isPhoto(file) {
  return TYPES.has(file.type) || (!file.type && /\.(png|jpe?g)$/i.test(file.name));
}

export class Photo {
  #url = null;
  #disposed = false;

  constructor(file) {
    this.file = file;
    this.name = file.name || "photo.jpg";
  }

  /** Put the preview into an image element once it is there; nothing for a file that no browser can show. */
  async show(image) {
    this.#url ??= previewUrl(this.file);
    const url = await this.#url;
    if (this.#disposed) return;
    image.addEventListener("load", () => { image.hidden = false; }, { once: true });
    image.addEventListener("error", () => { image.hidden = true; }, { once: true });
    image.src = url;
  }

  async dispose() {
    this.#disposed = true;
    if (this.#url) URL.revokeObjectURL(await this.#url);
  }
}

async function previewUrl(file) {
  if (file.size <= SMALL_BYTES) return URL.createObjectURL(file);
  const release = await scaling.take();
  try {
    const bitmap = await createImageBitmap(file, { resizeWidth: PREVIEW_WIDTH_PX, resizeQuality: "medium" });
    const canvas = document.createElement("canvas");
    canvas.width = bitmap.width;
    canvas.height = bitmap.height;
    canvas.getContext("2d").drawImage(bitmap, 0, 0);
    bitmap.close();
    const blob = await new Promise((resolve) => canvas.toBlob(resolve, "image/webp", 0.8));
    return URL.createObjectURL(blob ?? file);
  } catch {
    return URL.createObjectURL(file); // the image element decides whether it can be shown
  } finally {
    release();
  }
}

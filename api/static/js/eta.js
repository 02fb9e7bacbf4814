// How long something will take, in words.

import { number, t } from "./texts.js";

/** Seconds as a reader counts them; empty when nobody knows. */
export function eta(seconds) {
  if (typeof seconds !== "number") return "";
  if (seconds < 1.5) return t("eta.moment");
  if (seconds < 90) return t("eta.seconds", { n: number(Math.round(seconds)) });
  return t("eta.minutes", { n: number(Math.round(seconds / 60)) });
}

// The model's own numbers, brought to the scale of the verdict's probability.

const MOST_STEEP = 64;
const HALVINGS = 40;

/**
 * Probabilities by class, so that the best one is the verdict's.
 * Calibration raises every number to one power, 1 / temperature, and divides by their sum;
 * the power is found from the one calibrated number that an answer carries.
 */
export function calibrated({ probabilities = {}, predicted_class: best, verdict }) {
  const target = verdict?.probability;
  if (typeof target !== "number" || !(best in probabilities)) return probabilities;
  if ((verdict.class ?? best) !== best) return probabilities; // its number is another class's
  let [low, high] = [0, MOST_STEEP];
  for (let step = 0; step < HALVINGS; step += 1) {
    const middle = (low + high) / 2;
    if (powered(probabilities, middle)[best] < target) low = middle;
    else high = middle;
  }
  return powered(probabilities, high);
}

function powered(probabilities, power) {
  const greatest = Math.max(...Object.values(probabilities), Number.MIN_VALUE);
  const raised = Object.entries(probabilities).map(([label, value]) => [label, (Math.max(0, value) / greatest) ** power]);
  const sum = raised.reduce((total, [, value]) => total + value, 0);
  return Object.fromEntries(raised.map(([label, value]) => [label, value / sum]));
}

// Which cards are in sight: those are kept fresh first.

const entries = new WeakMap();
const observer = new IntersectionObserver((changes) => {
  for (const { target, isIntersecting } of changes) {
    const entry = entries.get(target);
    if (entry) entry.inSight = isIntersecting;
  }
});

/** From now on `entry.inSight` says whether this element can be seen. */
export function notice(element, entry) {
  entries.set(element, entry);
  observer.observe(element);
}

/** The element is gone from the page. */
export function unnotice(element) {
  observer.unobserve(element);
}

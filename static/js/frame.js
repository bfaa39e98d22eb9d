/* The hosted page in a frame: tells the page around it (static/embed.js) how it stands, to its exact origin. */
(() => {
  "use strict";

  const { body } = document;
  const origin = body.dataset.frameOrigin;
  const tell = (type, more) => {
    if (origin && parent !== window) parent.postMessage({ till: type, ...more }, origin);
  };

  // --- what opens elsewhere: the shop in the whole window, all else (a bank, a receipt) in one of its own
  document.querySelectorAll("a[href]:not([href^='#'])").forEach((link) => {
    if (link.origin === origin) link.target = "_top";
    else if (!link.target) Object.assign(link, { target: "_blank", rel: "noopener" });
  });

  // --- how high it is
  let height = 0;
  const measure = () => {
    const now = Math.ceil(body.getBoundingClientRect().height);
    if (now === height) return;
    height = now;
    tell("resize", { height });
  };
  new ResizeObserver(measure).observe(body);
  measure();

  // --- how far it has come
  const words = (selector) => (document.querySelector(selector)?.textContent || "").replace(/\s+/g, " ").trim();
  const { step, checkoutId, frameError } = body.dataset;
  tell("step", { step, checkoutId });
  if (step === "receipt") tell("complete", { checkoutId });
  else if (frameError) tell("error", { code: frameError, message: words("main .notice p:last-child"), final: true });
  else if (["failed", "expired", "canceled"].includes(step)) {
    tell("error", { code: step, message: words("h1"), checkoutId, final: true });
  } else if (document.querySelector("[data-error-summary]")) {
    tell("error", { code: "payment_error", message: words("[data-error-summary] li"), checkoutId, final: false });
  }
})();

/* Till's checkout on a page of your own. No dependency.
 *
 *   <script src="https://till.example/static/embed.js"></script>
 *   const checkout = Till.mount("#checkout", {
 *     token,                          // of GET /v1/checkout/sessions/{id}/embed-token, from your server
 *     language,                       // "de"; without it that of your page (<html lang>), else the browser's
 *     onComplete({ checkoutId }) {},  // paid; believe your server's webhook, not the browser
 *     onError({ code, message, final }) {},
 *     onResize({ height }) {},
 *   });
 *   checkout.unmount();
 *
 * The element also gets the events till:complete, till:error and till:resize with the same `detail`.
 * Your origin has to be among hosted_checkout.embed_origins of your checkout settings.
 */
(() => {
  "use strict";

  const home = new URL(document.currentScript.src).origin;
  const HANDLERS = { complete: "onComplete", error: "onError", resize: "onResize" };
  //: How long after it has loaded a frame may stay silent: a browser that refuses to show it says nothing.
  const PATIENCE = 4000;

  function mount(target, options) {
    const { token, title = "Payment", language = document.documentElement.lang, ...handlers } = options || {};
    const place = typeof target === "string" ? document.querySelector(target) : target;
    if (!(place instanceof Element)) throw new TypeError(`Till.mount: there is no element ${target}`);
    if (typeof token !== "string" || !token) throw new TypeError("Till.mount: give the embed token as { token }");

    const frame = document.createElement("iframe");
    frame.title = title;
    frame.referrerPolicy = "origin";
    frame.allow = `payment ${home}`;
    Object.assign(frame.style, { border: "0", display: "block", width: "100%", height: "30rem", colorScheme: "normal" });
    const [lang] = String(language).toLowerCase().split("-");
    frame.src = `${home}/embed/${encodeURIComponent(token)}?${new URLSearchParams({ origin: location.origin, lang })}`;

    let heard = false;
    let completed = false;
    let timer;

    const pass = (type, detail) => {
      place.dispatchEvent(new CustomEvent(`till:${type}`, { detail, bubbles: true }));
      handlers[HANDLERS[type]]?.(detail);
    };
    const fail = (detail) => {
      console.error(`Till: ${detail.message}`);
      pass("error", detail);
    };

    const listen = (event) => {
      if (event.origin !== home || event.source !== frame.contentWindow) return;
      const { till: type, ...detail } = event.data || {};
      heard = true;
      if (type === "resize" && Number.isFinite(detail.height)) {
        frame.style.height = `${detail.height}px`;
        pass(type, detail);
      } else if (type === "complete" && !completed) {
        completed = true;
        pass(type, detail);
      } else if (type === "error") {
        if (detail.final) fail(detail);
        else pass(type, detail);
      }
    };

    frame.addEventListener("load", () => {
      clearTimeout(timer);
      timer = setTimeout(() => {
        if (heard || !frame.isConnected) return;
        const message = `The payment form can't be shown on ${location.origin}. Is that origin among embed_origins of the checkout settings, and does ${home} answer?`;
        const note = document.createElement("p");
        note.setAttribute("role", "alert");
        note.textContent = message;
        frame.replaceWith(note);
        fail({ code: "blocked", message, final: true });
      }, PATIENCE);
    });

    addEventListener("message", listen);
    place.replaceChildren(frame);
    return {
      unmount() {
        clearTimeout(timer);
        removeEventListener("message", listen);
        place.replaceChildren();
      },
    };
  }

  window.Till = Object.freeze({ mount });
})();

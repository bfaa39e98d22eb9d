/* The suite's stand-in for Stripe's script: the calls of Stripe.js v3 that our page makes, strict about how they are made.
   Fields and the bank's window are frames of this script's own origin, so that our page's policy is really tried. */
(() => {
  "use strict";
  const home = new URL(document.currentScript.src).origin;
  const complain = (words) => {
    fetch(`${home}/v3/complaints`, { method: "POST", body: words });
    throw new Error(words);
  };
  const must = (good, words) => good || complain(words);

  // A question to a frame of ours, and its answer.
  function ask(frame, call, detail) {
    return new Promise((answer) => {
      const { port1, port2 } = new MessageChannel();
      port1.onmessage = (event) => answer(event.data);
      frame.contentWindow.postMessage({ call, detail }, home, [port2]);
    });
  }
  function framed(path, title) {
    const frame = document.createElement("iframe");
    Object.assign(frame, { src: home + path, title });
    Object.assign(frame.style, { width: "100%", height: "12.75rem", border: "0", display: "block" });
    return frame;
  }

  class Elements {
    constructor(key, options) {
      must(options.mode === "payment" && Number.isInteger(options.amount) && options.amount > 0, "elements: no amount");
      must(/^[a-z]{3}$/.test(options.currency), "elements: currency in lower case");
      must(String(options.paymentMethodTypes) === "card", "elements: cards alone");
      must(["stripe", "night", "flat"].includes(options.appearance.theme), "elements: no such theme");
      for (const value of Object.values(options.appearance.variables)) must(!/var\(|oklch/.test(value), `elements: ${value}`);
      Object.assign(this, { key, options: { ...options }, submitted: false });
    }
    update(options) {
      Object.assign(this.options, options);
      this.submitted = false;
    }
    create(type) {
      must(type === "payment", "elements: only a payment element");
      const hear = {};
      this.frame = framed(`/v3/card?look=${this.options.appearance.theme}`, "Secure payment input frame");
      this.frame.name = "stripe-card";
      this.frame.addEventListener("load", () => hear.ready && hear.ready());
      return { on: (name, act) => (hear[name] = act), mount: (place) => place.append(this.frame) };
    }
    async submit() {
      const found = await ask(this.frame, "check");
      this.submitted = !found.error;
      return found;
    }
  }

  window.Stripe = (key) => {
    must(/^pk_(test|live)_/.test(key), "no publishable key");
    return {
      elements: (options) => new Elements(key, options),
      createConfirmationToken: ({ elements, params }) => {
        must(elements.submitted, "elements.submit() comes first");
        const { amount, currency, setupFutureUsage } = elements.options;
        const email = params.payment_method_data.billing_details.email;
        return ask(elements.frame, "token", { key, amount, currency, setupFutureUsage, email });
      },
      handleNextAction: ({ clientSecret }) => {
        must(/^pi_\w+_secret_\w+$/.test(clientSecret), "no client secret");
        const frame = framed(`/v3/challenge?key=${key}`, "Your bank");
        frame.name = "stripe-challenge";
        Object.assign(frame.style, { position: "fixed", inset: "0", height: "100%", zIndex: 9 });
        document.body.append(frame);
        return new Promise((answer) => {
          frame.addEventListener("load", async () => {
            const said = await ask(frame, "challenge", { key, clientSecret });
            frame.remove();
            answer(said);
          });
        });
      },
    };
  };
  window.Stripe.version = 3;
})();

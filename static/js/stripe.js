/* Card fields in Stripe's own frames (Payment Element), and 3-D Secure over our page. What is typed there reaches Stripe
   alone; we send on a token of it (docs/adr/0033). Without Stripe's script the page offers Stripe's page instead. */
(() => {
  "use strict";

  const one = (selector) => document.querySelector(selector);
  const [locale] = document.documentElement.lang.split("-");

  // --- the look of our page, in colours that Stripe can read
  const pen = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  function hex(colour) {
    pen.clearRect(0, 0, 1, 1);
    pen.fillStyle = colour;
    pen.fillRect(0, 0, 1, 1);
    return `#${[...pen.getImageData(0, 0, 1, 1).data].slice(0, 3).map((part) => part.toString(16).padStart(2, "0")).join("")}`;
  }
  const night = matchMedia("(prefers-color-scheme: dark)");
  function appearance(form) {
    const style = (selector) => getComputedStyle(form.querySelector(selector) || form);
    const input = style("input[name=email]");
    return {
      theme: night.matches ? "night" : "stripe",
      variables: {
        colorPrimary: hex(style("[data-pay-button]").backgroundColor),
        colorBackground: hex(input.backgroundColor),
        colorText: hex(input.color),
        colorDanger: hex(style(".field-error").color),
        fontFamily: input.fontFamily,
        fontSizeBase: input.fontSize,
        borderRadius: input.borderRadius,
      },
    };
  }

  // --- the card fields
  let stripe = null;
  let elements = null;
  const amountOf = (form) => Number(form.querySelector("[data-pay-button]").dataset.amount);

  function mount() {
    const form = one("form[data-card-frames]");
    if (!form) return;
    const { cardFrames, currency, keep } = form.dataset;
    const failed = () => {
      form.dataset.failed = "1";
    };
    if (!window.Stripe) {
      failed();
      return;
    }
    stripe = window.Stripe(cardFrames);
    elements = stripe.elements({
      mode: "payment",
      amount: amountOf(form),
      currency,
      paymentMethodTypes: ["card"],
      ...(keep ? { setupFutureUsage: "off_session" } : {}),
      locale,
      appearance: appearance(form),
    });
    const card = elements.create("payment", { wallets: { applePay: "never", googlePay: "never" }, terms: { card: "never" } });
    const place = form.querySelector("[data-card-frame]");
    card.on("ready", () => {
      form.dataset.ready = "1";
      place.removeAttribute("aria-busy");
    });
    card.on("loaderror", failed);
    card.mount(place);
  }
  night.addEventListener("change", () => {
    const form = one("form[data-card-frames]");
    if (form && elements) elements.update({ appearance: appearance(form) });
  });

  // What Stripe's fields found wrong stands at them already; all else is said below.
  function refuse(form, error) {
    const box = form.querySelector("[data-frame-error]");
    const words = box.querySelector("span");
    box.hidden = error && error.type === "validation_error";
    words.textContent = (error && error.message) || words.dataset.otherwise;
    form.dispatchEvent(new Event("till:release", { bubbles: true }));
  }

  async function send(form) {
    form.querySelector("[data-frame-error]").hidden = true;
    const seen = ["quote", "nonce"].map((name) => [name, form.elements[name].value]);
    elements.update({ amount: amountOf(form) });
    const checked = await elements.submit();
    if (checked.error) return refuse(form, checked.error);
    const email = form.elements.email.value.trim();
    const made = await stripe.createConfirmationToken({
      elements,
      params: { payment_method_data: { billing_details: email ? { email } : {} } },
    });
    if (made.error) return refuse(form, made.error);
    form.elements.card_token.value = made.confirmationToken.id;
    // Another total that came meanwhile was not the one that the button showed: our server says so.
    seen.forEach(([name, value]) => {
      form.elements[name].value = value;
    });
    return form.submit();
  }
  // Before checkout.js, which holds the button and swallows a second click.
  document.addEventListener(
    "submit",
    (event) => {
      const form = event.target;
      if (!form.matches("form[data-card-frames]") || form.dataset.sent) return;
      event.preventDefault();
      if (elements && form.dataset.ready) send(form).catch(() => refuse(form, null));
      else setTimeout(() => refuse(form, null));
    },
    true,
  );
  document.addEventListener("till:replaced", mount);
  mount();

  // --- the bank asks: Stripe's window over our page; then our server asks Stripe, whatever came of it
  const bank = one("[data-card-action]");
  async function ask() {
    const { cardAction, clientSecret, back, step } = bank.dataset;
    bank.setAttribute("aria-busy", "true");
    try {
      await window.Stripe(cardAction).handleNextAction({ clientSecret });
      await fetch(back, { cache: "no-store" });
      const now = await (await fetch(step, { cache: "no-store" })).text();
      if (now.trim() !== "action") {
        const again = one("[data-frame-again]");
        if (again) again.requestSubmit();
        else location.replace(step.replace(/\/step$/, ""));
        return;
      }
    } catch {
      // Stripe or we could not be reached: the button tries again.
    }
    bank.removeAttribute("aria-busy");
  }
  if (bank) {
    bank.addEventListener("click", () => bank.hasAttribute("aria-busy") || ask());
    if (window.Stripe) ask();
  }
})();

/* Shopper pages. Everything here is comfort: each page works without it. No dependency. */
(() => {
  "use strict";

  const each = (selector, act) => document.querySelectorAll(selector).forEach(act);
  const one = (selector) => document.querySelector(selector);

  // --- in a frame no address shows the step: a form asks for it (see frame.js)
  const again = one("[data-frame-again]");
  const lookAgain = () =>
    again
      ? fetch(again.action, { method: "POST", body: new URLSearchParams(new FormData(again)) })
      : fetch(location.href, { headers: { Accept: "text/html" }, cache: "no-store" });
  const turn = (url) => (again ? again.requestSubmit() : location.replace(url));

  // --- the merchant's accent, where CSS attr() can't read a colour yet (see tokens.css)
  each("[data-accent]", (element) => {
    const accent = element.dataset.accent;
    if (!CSS.supports("x: attr(x type(*))") && CSS.supports("color", accent)) {
      element.style.setProperty("--brand", accent);
    }
  });

  // --- errors: the summary takes focus, its links put the cursor into the field
  const focusSummary = () => {
    const summary = one("[data-error-summary]");
    if (summary) summary.focus();
    return summary;
  };
  focusSummary();
  document.addEventListener("click", (event) => {
    const link = event.target.closest("[data-error-summary] a[href^='#']");
    const field = link && document.getElementById(link.hash.slice(1));
    if (!field) return;
    event.preventDefault();
    const folded = field.closest("details");
    if (folded) folded.open = true;
    field.focus();
    field.scrollIntoView({ block: "center" });
  });

  // --- card number: groups, brand, and the caret where the shopper left it
  const BRANDS = [
    ["visa", /^4/, [4, 8, 12]],
    ["mastercard", /^(5[1-5]|2(22[1-9]|2[3-9]|[3-6]|7[01]|720))/, [4, 8, 12]],
    ["amex", /^3[47]/, [4, 10]],
    ["diners", /^3(0[0-5]|095|[689])/, [4, 10]],
    ["jcb", /^35(2[89]|[3-8])/, [4, 8, 12]],
    ["discover", /^6(011|4[4-9]|5)/, [4, 8, 12]],
    ["unionpay", /^(62|81)/, [4, 8, 12]],
  ];
  const brandOf = (digits) => BRANDS.find(([, start]) => start.test(digits));
  const digitsOf = (text) => text.replace(/\D/g, "").slice(0, 19);

  const grouped = (digits, gaps) =>
    [...digits].map((digit, at) => (gaps.includes(at) ? ` ${digit}` : digit)).join("");

  function formatCard(input) {
    const before = digitsOf(input.value.slice(0, input.selectionStart ?? input.value.length)).length;
    const digits = digitsOf(input.value);
    const brand = brandOf(digits);
    const text = grouped(digits, brand ? brand[2] : [4, 8, 12]);
    const holder = input.closest(".card-number");
    if (holder && brand) holder.dataset.brand = brand[0];
    else if (holder) delete holder.dataset.brand;
    if (text === input.value) return;
    input.value = text;
    if (document.activeElement !== input) return;
    let caret = 0;
    for (let seen = 0; caret < text.length && seen < before; caret += 1) if (text[caret] !== " ") seen += 1;
    input.setSelectionRange(caret, caret);
  }
  document.addEventListener("input", (event) => {
    if (event.target.matches("[data-card-number]")) formatCard(event.target);
  });
  each("[data-card-number]", formatCard);

  // --- one submit: the amount stays on the button, a second click does nothing
  const release = (form) => {
    delete form.dataset.sent;
    form.querySelectorAll("[aria-busy]").forEach((button) => {
      button.removeAttribute("aria-busy");
      button.removeAttribute("aria-disabled");
    });
  };
  const hold = (form, button) => {
    form.dataset.sent = "1";
    button.setAttribute("aria-busy", "true");
    button.setAttribute("aria-disabled", "true");
  };
  document.addEventListener("submit", (event) => {
    const form = event.target;
    if (!form.matches("[data-submit-once], [data-live]")) return;
    if (form.dataset.sent) {
      event.preventDefault();
      return;
    }
    hold(form, event.submitter || form.querySelector("button, noscript"));
    if (form.matches("[data-live]")) {
      event.preventDefault();
      sendInPlace(form, event.submitter);
      return;
    }
    const status = one("[data-busy-status]");
    if (status) status.textContent = form.dataset.busyText || "";
    // Whoever goes to a bank by another method has typed an address for the receipt, too.
    const typed = one("#card-form [name=email]");
    const carried = form.querySelector("[data-carry-email]");
    if (typed && carried) carried.value = typed.value;
  });
  document.addEventListener("till:release", (event) => release(event.target)); // see stripe.js
  window.addEventListener("pageshow", (event) => {
    if (event.persisted) each("form[data-sent]", release);
  });

  // --- forms that change the order are sent in place: what has changed is taken out of the answer, what is typed stays
  const home = () => one("[data-handoff]") && one("[data-handoff]").dataset.handoff.replace(/\/step$/, "");
  const names = (page) => [...page.querySelectorAll("[data-part]")].map((part) => part.dataset.part).join();
  const card = (page) => page.getElementById("card-form");
  const scripts = (page) => [...page.querySelectorAll("script[src]")].map((script) => script.getAttribute("src"));
  const lacks = (page) => scripts(page).some((src) => !scripts(document).includes(src));

  function takeOver(page) {
    if (names(page) !== names(document) || !card(page) !== !card(document)) {
      one("main").replaceWith(page.querySelector("main"));
      document.dispatchEvent(new Event("till:replaced"));
      return;
    }
    each("[data-part]", (part) => part.replaceWith(page.querySelector(`[data-part="${part.dataset.part}"]`)));
    if (!card(document)) return;
    for (const name of ["quote", "nonce", "csrf_token"]) {
      const field = card(document).elements[name];
      if (field) field.value = card(page).elements[name].value;
    }
    one("#card-form [data-pay-button]").replaceWith(page.querySelector("#card-form [data-pay-button]"));
  }

  // What is typed into the other forms, by field, so that it outlives the parts that are replaced.
  function unsent(form) {
    const found = new Map();
    each("main :is(input:not([type=radio], [type=checkbox], [type=hidden]), select)[id]", (field) => {
      const first = field.options ? [...field.options].find((option) => option.defaultSelected) || field.options[0] : null;
      if (!form.contains(field) && field.value !== (first ? first.value : field.defaultValue)) found.set(field.id, field.value);
    });
    return found;
  }

  async function sendInPlace(form, submitter) {
    const data = new FormData(form);
    if (submitter && submitter.name) data.append(submitter.name, submitter.value);
    const before = document.activeElement && document.activeElement.id;
    let page;
    try {
      const answer = await fetch(form.action, { method: "POST", body: new URLSearchParams(data), headers: { Accept: "text/html" } });
      page = new DOMParser().parseFromString(await answer.text(), "text/html");
    } catch {
      release(form); // Offline for a moment: the shopper may press again.
      return;
    }
    if (page.body.dataset.step !== document.body.dataset.step || lacks(page)) {
      turn(home() || location.href);
      return;
    }
    const typed = unsent(form);
    const opened = new Set();
    each("[data-part] details[open] > summary", (summary) => {
      if (!summary.parentElement.contains(form)) opened.add(summary.textContent);
    });
    takeOver(page);
    each("[data-part] details > summary", (summary) => {
      if (opened.has(summary.textContent)) summary.parentElement.open = true;
    });
    document.title = page.title;
    for (const [id, value] of typed) {
      const field = document.getElementById(id);
      if (field) field.value = value;
    }
    const chosen = latest && document.getElementById(latest);
    latest = null;
    if (chosen && !chosen.checked) {
      chosen.click();
      chosen.focus();
      return;
    }
    if (focusSummary()) return;
    const there = before && document.getElementById(before);
    if (there) there.focus({ preventScroll: true });
    const status = one("[data-live-status]");
    const total = one(".total");
    if (status && total) status.textContent = total.innerText;
  }
  let latest = null; // what was chosen while an earlier choice was on its way
  document.addEventListener("change", (event) => {
    const form = event.target.closest("form[data-on-change]");
    if (!form) return;
    if (form.dataset.sent) latest = event.target.id;
    else form.requestSubmit();
  });

  // --- e-mail: a slip in a well-known domain is pointed out, never corrected by itself
  const DOMAINS = ["gmail.com", "googlemail.com", "yahoo.com", "hotmail.com", "outlook.com", "icloud.com", "live.com", "aol.com", "proton.me", "gmx.de", "web.de", "orange.fr", "free.fr"];
  function distance(a, b) {
    let row = Array.from({ length: b.length + 1 }, (_, at) => at);
    for (let i = 1; i <= a.length; i += 1) {
      const next = [i];
      for (let j = 1; j <= b.length; j += 1) {
        next[j] = Math.min(row[j] + 1, next[j - 1] + 1, row[j - 1] + (a[i - 1] === b[j - 1] ? 0 : 1));
      }
      row = next;
    }
    return row[b.length];
  }
  function betterEmail(value) {
    const [name, domain] = value.trim().toLowerCase().split("@");
    if (!name || !domain || DOMAINS.includes(domain)) return null;
    const close = DOMAINS.find((known) => known.length > 6 && distance(domain, known) <= 2);
    return close ? `${value.trim().split("@")[0]}@${close}` : null;
  }
  document.addEventListener("change", (event) => {
    const box = event.target.id && one(`[data-email-hint="${CSS.escape(event.target.id)}"]`);
    if (!box) return;
    const better = betterEmail(event.target.value);
    box.hidden = !better;
    box.querySelector("button").textContent = better || "";
  });
  document.addEventListener("click", (event) => {
    const box = event.target.closest("[data-email-hint]");
    if (!box || event.target.tagName !== "BUTTON") return;
    const input = document.getElementById(box.dataset.emailHint);
    input.value = event.target.textContent;
    box.hidden = true;
    input.focus();
  });

  // --- a reference is no place for a card number
  const luhn = (digits) =>
    [...digits].reverse().reduce((sum, digit, at) => sum + (at % 2 ? [0, 2, 4, 6, 8, 1, 3, 5, 7, 9][digit] : +digit), 0) % 10 === 0;
  each("[data-no-card]", (input) => {
    const warning = document.getElementById(input.dataset.noCard);
    input.addEventListener("input", () => {
      const digits = input.value.replace(/[\s-]/g, "");
      if (warning) warning.hidden = !(/^\d{13,19}$/.test(digits) && luhn(digits));
    });
  });

  // --- sandbox panel: a click fills the test card in
  const fill = (selector, value) => {
    const input = one(selector);
    if (input && (!input.value || selector.includes("number"))) {
      input.value = value;
      input.dispatchEvent(new Event("input", { bubbles: true }));
    }
  };
  each("[data-fill-card]", (button) => {
    button.addEventListener("click", () => {
      fill("[data-card-number]", button.dataset.fillCard);
      fill("[name=exp_month]", "12");
      fill("[name=exp_year]", String((new Date().getFullYear() + 3) % 100).padStart(2, "0"));
      fill("[name=cvc]", button.dataset.fillCard.startsWith("3") ? "1234" : "123");
      fill("[name=card_name]", "Test Shopper");
      fill("[name=email]", "shopper@example.com");
      each("[data-fill-card]", (other) => other.setAttribute("aria-pressed", String(other === button)));
      const pay = one("[data-pay-button]");
      if (pay) {
        pay.focus({ preventScroll: true });
        pay.scrollIntoView({ block: "nearest" });
      }
    });
  });

  // --- waiting: look again until the step has changed
  const step = document.body.dataset.step;
  const pollSeconds = Number(document.body.dataset.pollSeconds);
  if (pollSeconds) {
    let wait = pollSeconds;
    const look = async () => {
      try {
        const answer = await lookAgain();
        const page = new DOMParser().parseFromString(await answer.text(), "text/html");
        if (page.body.dataset.step !== step) {
          turn(answer.url || location.href);
          return;
        }
      } catch {
        // Offline for a moment: ask again later.
      }
      wait = Math.min(wait * 1.3, 20);
      setTimeout(look, wait * 1000);
    };
    setTimeout(look, wait * 1000);
  }

  // --- go on to the bank by itself (the button stays for those without script)
  const onward = one("[data-auto-continue]");
  if (onward && !again) {
    const wait = Number(onward.dataset.autoContinue) || 400;
    const timer = setTimeout(() => (onward.tagName === "FORM" ? onward.requestSubmit() : onward.click()), wait);
    each("[data-stay]", (link) => link.addEventListener("click", () => clearTimeout(timer)));
  }

  // --- the same page on a phone, or in another tab: this one follows when it has gone on
  let watching = false;
  async function follow() {
    if (!home()) return;
    try {
      const answer = await fetch(one("[data-handoff]").dataset.handoff, { cache: "no-store" });
      const now = answer.ok ? (await answer.text()).trim() : step;
      // At the bank's page it is the other device's turn.
      if (now !== step && now !== "action") turn(home());
    } catch {
      // Offline for a moment: ask again later.
    }
  }
  document.addEventListener(
    "toggle",
    (event) => {
      if (!event.target.matches("[data-handoff]") || watching) return;
      watching = true;
      setInterval(() => document.visibilityState === "visible" && follow(), 2500);
    },
    true,
  );
  document.addEventListener("visibilitychange", () => {
    if (document.visibilityState === "visible" && !one("form[data-sent]")) follow();
  });

  // --- receipt: back to the shop after some seconds, unless the shopper stays
  const leave = one("[data-leave-after]");
  if (leave) {
    let left = Number(leave.dataset.leaveAfter);
    const count = leave.querySelector("[data-leave-count]");
    const stay = leave.querySelector("[data-leave-stay]");
    leave.hidden = false;
    const timer = setInterval(() => {
      left -= 1;
      if (count) count.textContent = String(Math.max(left, 0));
      if (left <= 0) {
        clearInterval(timer);
        location.assign(leave.dataset.leaveTo);
      }
    }, 1000);
    const halt = () => {
      clearInterval(timer);
      leave.hidden = true;
    };
    if (stay) stay.addEventListener("click", halt);
    window.addEventListener("beforeprint", halt);
  }

  // --- countdown: silent until the last five minutes; more time moves its end
  const tick = () => {
    const clock = one("[data-expires-at]");
    if (!clock) return;
    const seconds = Math.round((Date.parse(clock.dataset.expiresAt) - Date.now()) / 1000);
    if (seconds <= 0) {
      turn(home() || location.href);
      return;
    }
    const near = seconds <= 300;
    if (clock.hidden === near) clock.hidden = !near;
    if (near) clock.querySelector("[data-countdown]").textContent = `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")}`;
    setTimeout(tick, 1000);
  };
  tick();

  // --- copy (a reference): the button's name says that it worked
  each("[data-copy]", (button) => {
    button.addEventListener("click", async () => {
      await navigator.clipboard.writeText(button.dataset.copy);
      button.dataset.done = "1";
      button.setAttribute("aria-label", button.dataset.copied);
    });
  });

  each("[data-print]", (button) => button.addEventListener("click", () => window.print()));
})();

/* The dashboard: copy, dialogs, toasts, and the token htmx sends along. Every screen works without it. */
(() => {
  "use strict";

  // --- toasts: one polite live region; also by the event `toast` (HX-Trigger: {"toast": {"message": "…"}})
  function toast(message) {
    const region = document.getElementById("toasts");
    if (!region || !message) return;
    const box = document.createElement("p");
    box.className = "toast";
    box.textContent = message;
    region.append(box);
    setTimeout(() => box.remove(), 6000);
  }
  document.addEventListener("toast", (event) => toast(event.detail && (event.detail.message || event.detail.value)));

  // --- copy
  async function copy(button) {
    try {
      await navigator.clipboard.writeText(button.dataset.copy);
    } catch {
      const area = document.createElement("textarea");
      area.value = button.dataset.copy;
      (button.closest("dialog") || document.body).append(area);
      area.select();
      document.execCommand("copy");
      area.remove();
    }
    button.dataset.done = "1";
    setTimeout(() => delete button.dataset.done, 2000);
    toast(button.dataset.copied);
  }

  // --- dialogs: the trigger is a link to #id, so that it works without script; here it opens a modal
  const opener = (target) => target.closest && target.closest("[data-dialog-open]");
  function open(trigger) {
    const dialog = document.getElementById(trigger.dataset.dialogOpen);
    if (!dialog || !dialog.showModal) return false;
    dialog.showModal();
    return true;
  }
  function enhance(root) {
    root.querySelectorAll("[data-dialog-open], [data-dialog-close]").forEach((link) => {
      link.setAttribute("role", "button");
      if (link.dataset.dialogOpen) link.setAttribute("aria-haspopup", "dialog");
    });
  }
  enhance(document);

  document.addEventListener("click", (event) => {
    const target = event.target;
    const copier = target.closest("[data-copy]");
    if (copier) copy(copier);
    const trigger = opener(target);
    if (trigger && open(trigger)) event.preventDefault();
    const closer = target.closest("[data-dialog-close]");
    if (closer) {
      const dialog = closer.closest("dialog");
      if (dialog && dialog.open) {
        event.preventDefault();
        dialog.close();
      }
    }
    if (target.matches("dialog") && target.open) {
      const box = target.getBoundingClientRect();
      const inside = event.clientX >= box.left && event.clientX <= box.right && event.clientY >= box.top && event.clientY <= box.bottom;
      if (!inside) target.close();
    }
    document.querySelectorAll("details[data-menu][open]").forEach((menu) => {
      if (!menu.contains(target)) menu.open = false;
    });
  });

  document.addEventListener("keydown", (event) => {
    const target = event.target;
    if (event.key === " " && target.matches("[data-dialog-open], [data-dialog-close]")) {
      event.preventDefault();
      target.click();
    }
    if (event.key === "Escape") {
      document.querySelectorAll("details[data-menu][open]").forEach((menu) => {
        menu.open = false;
        menu.querySelector("summary").focus();
      });
    }
    if (event.key === "/" && !event.metaKey && !event.ctrlKey && !target.matches("input, textarea, select")) {
      const search = document.querySelector("[data-search]");
      if (search) {
        event.preventDefault();
        search.focus();
      }
    }
  });

  // --- a dialog that the address names, and one that came back with an error, opens by itself
  const asked = location.hash.length > 1 && document.getElementById(decodeURIComponent(location.hash.slice(1)));
  if (asked && asked.matches("dialog")) {
    location.replace("#"); // else it would stay on the page when it is closed
    asked.showModal();
  }
  document.querySelectorAll("dialog[data-open], dialog:has([data-error-summary])").forEach((dialog) => dialog.showModal());
  const summary = document.querySelector("[data-error-summary]");
  if (summary) summary.focus();

  // --- one submit
  document.addEventListener("submit", (event) => {
    const form = event.target;
    if (!form.matches("[data-submit-once]")) return;
    if (form.dataset.sent) event.preventDefault();
    else {
      form.dataset.sent = "1";
      const button = event.submitter || form.querySelector("button");
      if (button) button.setAttribute("aria-busy", "true");
    }
  });
  window.addEventListener("pageshow", (event) => {
    if (!event.persisted) return;
    document.querySelectorAll("form[data-sent]").forEach((form) => {
      delete form.dataset.sent;
      form.querySelectorAll("[aria-busy]").forEach((button) => button.removeAttribute("aria-busy"));
    });
  });

  // --- a preview follows the form beside it; its address is replaced, so that "back" still leads back
  document.querySelectorAll("form[data-preview]").forEach((form) => {
    const frame = document.getElementById(form.dataset.preview);
    let wait;
    form.addEventListener("input", () => {
      clearTimeout(wait);
      wait = setTimeout(() => {
        const typed = new URLSearchParams(new FormData(form));
        ["csrf_token", "version"].forEach((name) => typed.delete(name));
        frame.contentWindow.location.replace(`${form.getAttribute("action")}/preview?${typed}`);
      }, 250);
    });
  });

  // --- htmx: the CSRF token rides in a header (names of the event in htmx 2 and 4)
  const token = document.querySelector("meta[name=csrf-token]");
  const sign = (event) => {
    const headers = event.detail.headers || (event.detail.ctx && event.detail.ctx.request && event.detail.ctx.request.headers);
    if (token && headers) headers["X-CSRFToken"] = token.content;
  };
  document.addEventListener("htmx:configRequest", sign);
  document.addEventListener("htmx:config:request", sign);
  for (const name of ["htmx:afterSwap", "htmx:after:swap"]) {
    document.addEventListener(name, (event) => enhance(event.target instanceof Element ? event.target : document));
  }
})();

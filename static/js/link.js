/* A payment link's page: tells once that its QR code was scanned. Bots run no script, and a prefetch is nobody yet. */
(() => {
  "use strict";

  const mark = document.querySelector("[data-scan]");
  if (!mark) return;

  const tell = async () => {
    const token = mark.form.elements.csrf_token.value;
    const body = new URLSearchParams({ csrf_token: token });
    const answer = await fetch(mark.dataset.scan, { method: "POST", body, keepalive: true });
    if (!answer.ok) return;
    mark.remove(); // the form would tell of it once more
    const unscanned = (given) => {
      const address = new URL(given);
      address.searchParams.delete("via"); // and so would a reload, or whoever gets this address from here
      return address.href;
    };
    for (const link of document.querySelectorAll(".languages a")) link.href = unscanned(link.href);
    history.replaceState(null, "", unscanned(location.href));
  };
  if (document.prerendering) document.addEventListener("prerenderingchange", tell, { once: true });
  else tell();
})();

"""What usually lies behind a webhook delivery that failed, and what mends it."""

from __future__ import annotations

_BY_STATUS = {
    400: "Your server refused the body. Verify the signature over the raw bytes, before parsing.",
    401: "Your server asks for credentials. Let this path through; the signature proves the sender.",
    403: "Something in front of your server refuses us: a firewall, bot protection or an allow-list.",
    404: "There is nothing at this address. Compare its path with the route of your server.",
    405: "The route is there and takes no POST.",
    410: "410 Gone says that nobody wants these events any more, so the endpoint was switched off.",
    413: "Your server takes only smaller bodies. Allow 20 kB.",
    415: "Your server does not take application/json.",
    422: "Your server refused the body. Verify the signature over the raw bytes, before parsing.",
    429: "Your server is limiting us. Send Retry-After, and we wait that long.",
}
#: By what the error of an attempt says (kit/http.py).
_BY_ERROR = (
    ("no connection in time", "Nothing answers at this address: a firewall drops us, or the host is down."),
    ("no answer in time", "Answer 2xx within 15 seconds and do the work afterwards."),
    ("connection was refused", "Nothing listens at this host and port."),
    ("connection broke", "Your server closed the connection in the middle of an answer. Look into its log."),
    ("certificate", "The certificate has expired, is for another name, or lacks its intermediate."),
    ("no TLS", "This port does not speak TLS 1.2 or later. Compare scheme and port of the address."),
    (
        "has no address",
        "The name cannot be resolved. Look for a typing error, or a DNS entry that is missing.",
    ),
    (
        "resolved in time",
        "The name servers of your domain do not answer in time. Can they be reached from outside?",
    ),
    ("look-ups of names", "Till waits for too many names at once. Send this again in a minute."),
    ("not public", "The name leads to a private address. Webhooks go to public addresses only."),
    ("switched off", "The endpoint was off, so nothing was sent. Switch it on and send this again."),
    ("could not be sent", "Till could not make this request. Its log says why; the operator has to mend it."),
)


def hint(http_status: int | None, error: str | None) -> str | None:
    """A sentence for a failed attempt; None for one that was taken, or of which we know nothing to say."""
    if http_status is None:
        return next((words for part, words in _BY_ERROR if part in (error or "")), None)
    if http_status in _BY_STATUS:
        return _BY_STATUS[http_status]
    if 300 <= http_status < 400:
        return "We follow no redirects. Enter the address to which it leads."
    if http_status >= 500:
        return "Your server failed while it handled the event. Look into its log at this time."
    return None

"""What the gateway counts. Routes are templates, so that their number is known."""

from prometheus_client import Counter, Histogram

_METHODS = frozenset(("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"))

REQUESTS = Counter(
    "cartouche_http_requests_total",
    "HTTP requests that were answered.",
    ["method", "route", "status"],
)
REQUEST_SECONDS = Histogram(
    "cartouche_http_request_duration_seconds",
    "Time from an HTTP request to the end of its answer.",
    ["method", "route"],
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30),
)


def count_request(method: str, route: str, status: int, seconds: float) -> None:
    """Counts a request that was answered."""
    if method not in _METHODS:
        method = "other"
    REQUESTS.labels(method, route, str(status)).inc()
    REQUEST_SECONDS.labels(method, route).observe(seconds)

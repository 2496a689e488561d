"""Events of a Lambda function URL, for tests."""

from __future__ import annotations

from typing import Any

OWN_NAME = "abcdefgh.lambda-url.eu-central-1.on.aws"
HTML = "text/html,*/*"


def event(
    path: str, *, query: str = "", method: str = "GET", host: str = OWN_NAME, cookies: tuple[str, ...] = (), **more: Any
) -> dict[str, Any]:
    """As Lambda gives it for a request that CloudFront signed (payload format 2.0)."""
    found = {
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": path,
        "rawQueryString": query,
        "headers": {"host": host, "accept": HTML, "via": "2.0 cloudfront", "x-forwarded-proto": "https"},
        "requestContext": {
            "accountId": "anonymous",
            "domainName": OWN_NAME,
            "http": {"method": method, "path": path, "protocol": "HTTP/1.1", "sourceIp": "192.0.2.1"},
            "requestId": "id",
            "stage": "$default",
        },
        "isBase64Encoded": False,
    }
    return {**found, **({"cookies": list(cookies)} if cookies else {}), **more}

"""Runs moto's server with conditional writes that are atomic, as those of S3 are: `python moto_atomic.py HOST PORT`.

moto looks whether the key is taken and stores some time later, so that of two writers at the same moment both are told
that they stored. S3 promises that one of them is told 412, and our store relies on it; so both steps happen under a lock.
"""

from __future__ import annotations

import functools
import sys
import threading
from collections.abc import Callable
from typing import Any

from moto.s3.responses import S3Response
from moto.server import main

CONDITIONAL = ("put_object", "_key_response_post")
"""The methods of moto that look at `If-None-Match` and then store: one object, and a completed multipart upload."""

_writing = threading.Lock()


def atomic(method: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(method)
    def locked(*arguments: Any, **named: Any) -> Any:
        with _writing:
            return method(*arguments, **named)

    return locked


if __name__ == "__main__":
    for name in CONDITIONAL:
        setattr(S3Response, name, atomic(getattr(S3Response, name)))
    main(["-H", sys.argv[1], "-p", sys.argv[2]])

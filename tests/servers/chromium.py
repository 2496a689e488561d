"""Drives a headless Chromium over its own pipe: opens a page in a window of any size, asks it questions, takes pictures."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import select
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

MISSING = "chromium is missing; make test installs it"
NAMES = ("chromium", "chromium-browser", "google-chrome")
FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--hide-scrollbars",
    "--remote-debugging-pipe",
]
ANSWER_S_MAX = 30.0
STOP_S_MAX = 10.0


def binary() -> str | None:
    """The program, None where there is none."""
    return next((found for name in NAMES if (found := shutil.which(name))), None)


class Page:
    """One tab. What the page complains about (refused styles, scripts, missing files) gathers in `complaints`."""

    def __init__(self, browser: _Browser, session: str) -> None:
        self._browser, self._session = browser, session
        self.complaints: list[str] = []

    def open(self, address: str, *, width: int, height: int = 900, dark: bool = False) -> None:
        """Show an address in a window of this size, and wait until it is loaded."""
        metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
        self._ask("Emulation.setDeviceMetricsOverride", metrics)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self._ask("Emulation.setEmulatedMedia", {"features": [scheme]})
        self._browser.events.clear()
        begun = self._ask("Page.navigate", {"url": address})
        if "errorText" in begun:
            raise AssertionError(f"{address}: {begun['errorText']}")
        # The load of this very document: one that was opened before may say only now that it is loaded.
        self._browser.await_event("Page.lifecycleEvent", {"name": "load", "loaderId": begun["loaderId"]})
        for event in self._browser.events:
            if event["method"] == "Log.entryAdded":
                self.complaints.append(event["params"]["entry"]["text"])

    def ask(self, expression: str) -> Any:
        """The value of a JavaScript expression: the test's own script, which the page's policy does not concern."""
        answer = self._ask("Runtime.evaluate", {"expression": expression, "returnByValue": True})
        if "exceptionDetails" in answer:
            raise AssertionError(answer["exceptionDetails"])
        return answer["result"].get("value")

    def picture(self, path: Path) -> None:
        """The whole page, however long, as PNG."""
        answer = self._ask("Page.captureScreenshot", {"format": "png", "captureBeyondViewport": True})
        path.write_bytes(base64.b64decode(answer["data"]))

    def _ask(self, method: str, parameters: dict[str, Any] | None = None) -> dict[str, Any]:
        return self._browser.ask(method, parameters or {}, self._session)


class _Browser:
    """The protocol: JSON messages that end with NUL, commands out, answers and events in."""

    def __init__(self, commands: int, answers: int) -> None:
        self._commands, self._answers = commands, answers
        self._number = 0
        self._rest = b""
        self.events: list[dict[str, Any]] = []

    def ask(self, method: str, parameters: dict[str, Any], session: str = "") -> dict[str, Any]:
        self._number += 1
        message = {"id": self._number, "method": method, "params": parameters}
        if session:
            message["sessionId"] = session
        os.write(self._commands, json.dumps(message).encode() + b"\0")
        deadline = time.monotonic() + ANSWER_S_MAX
        while True:
            said = self._next(deadline, method)
            if said.get("id") == self._number:
                if "error" in said:
                    raise AssertionError(f"{method}: {said['error']}")
                result: dict[str, Any] = said["result"]
                return result
            self.events.append(said)

    def await_event(self, method: str, parameters: dict[str, Any]) -> None:
        """Wait for an event of this name that has these parameters, among others."""
        deadline = time.monotonic() + ANSWER_S_MAX
        while not any(e.get("method") == method and parameters.items() <= e["params"].items() for e in self.events):
            self.events.append(self._next(deadline, method))

    def _next(self, deadline: float, awaited: str) -> dict[str, Any]:
        while b"\0" not in self._rest:
            left = max(0.0, deadline - time.monotonic())
            readable, _, _ = select.select([self._answers], [], [], left)
            piece = os.read(self._answers, 1 << 20) if readable else b""
            if not piece:
                raise TimeoutError(f"chromium did not answer: {awaited}")
            self._rest += piece
        text, _, self._rest = self._rest.partition(b"\0")
        said: dict[str, Any] = json.loads(text)
        return said


@contextlib.contextmanager
def chromium(folder: Path) -> Iterator[Page]:
    """A browser with a profile of its own in `folder`, until the end of the context."""
    program = binary()
    assert program is not None, MISSING
    commands_in, commands_out = os.pipe()
    answers_in, answers_out = os.pipe()
    arguments = [program, *FLAGS, f"--user-data-dir={folder / 'profile'}", "about:blank"]
    # The browser reads commands from descriptor 3 and answers on 4: a shell puts ours there.
    plumbing = f'exec "$@" 3<&{commands_in} 4>&{answers_out}'
    with (folder / "chromium.log").open("wb") as log:
        process = subprocess.Popen(
            ["bash", "-c", plumbing, "chromium", *arguments],
            pass_fds=(commands_in, answers_out),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    os.close(commands_in)
    os.close(answers_out)
    try:
        browser = _Browser(commands_out, answers_in)
        target = browser.ask("Target.createTarget", {"url": "about:blank"})["targetId"]
        session = browser.ask("Target.attachToTarget", {"targetId": target, "flatten": True})["sessionId"]
        for domain in ("Page", "Log", "Runtime"):
            browser.ask(f"{domain}.enable", {}, session)
        browser.ask("Page.setLifecycleEventsEnabled", {"enabled": True}, session)
        yield Page(browser, session)
        with contextlib.suppress(OSError, AssertionError, TimeoutError):
            browser.ask("Browser.close", {})
    finally:
        _stop(process)
        os.close(commands_out)
        os.close(answers_in)


def _stop(process: subprocess.Popen[bytes]) -> None:
    """The browser and its helpers, which are one group that we started."""
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(STOP_S_MAX)
    if process.poll() is None:
        os.killpg(process.pid, 9)
        process.wait(STOP_S_MAX)

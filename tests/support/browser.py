"""Headless Chromium, controlled over its DevTools protocol."""

import base64
import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from websockets.sync.client import connect
from websockets.sync.connection import Connection

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
MISSING = "Chromium is not installed: on Debian `apt-get install chromium`, elsewhere Google Chrome will do"
_OPTIONS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--hide-scrollbars",
    "--disable-background-networking", "--disable-component-update", "--disable-sync", "--remote-debugging-port=0",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",  # no page reaches another machine
)  # fmt: skip


class Page:
    """A page, and what happened on it."""

    def __init__(self, socket: Connection) -> None:
        self.socket = socket
        self.events: list[dict[str, Any]] = []
        self.number = 0
        for domain in ("Page", "Network", "Runtime", "Log"):
            self.ask(f"{domain}.enable")

    def ask(self, method: str, **parameters: Any) -> Any:
        """Send a command, and return its result."""
        self.number += 1
        self.socket.send(json.dumps({"id": self.number, "method": method, "params": parameters}))
        while (message := self._receive()).get("id") != self.number:
            pass
        assert "error" not in message, message
        return message["result"]

    def open(self, what: Path | str, *, width: int, height: int = 900, dark: bool = False) -> None:
        """Open a file or a URL in a window of a given width, and wait until it is loaded."""
        self.ask(
            "Emulation.setDeviceMetricsOverride",
            width=width, height=height, deviceScaleFactor=1, mobile=width < 600,
        )  # fmt: skip
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.ask("Emulation.setEmulatedMedia", features=[scheme])
        self.events.clear()
        self.ask("Page.navigate", url=what if isinstance(what, str) else what.absolute().as_uri())
        while not any(event["method"] == "Page.loadEventFired" for event in self.events):
            self._receive()

    def evaluate(self, expression: str) -> Any:
        """Return the value of a JavaScript expression."""
        return self.ask("Runtime.evaluate", expression=expression, returnByValue=True)["result"].get("value")

    def point(self, selector: str) -> tuple[float, float]:
        """Move the mouse onto an element, wherever it is on the page, and return where that is."""
        middle = """(element => {
            element.scrollIntoView({block: "center", behavior: "instant"})
            const place = element.getBoundingClientRect()
            return [place.x + place.width / 2, place.y + place.height / 2]
        })"""
        x, y = self.evaluate(f"{middle}(document.querySelector({json.dumps(selector)}))")
        self.ask("Input.dispatchMouseEvent", type="mouseMoved", x=x, y=y)
        return x, y

    def click(self, selector: str) -> None:
        """Click on an element."""
        x, y = self.point(selector)
        for kind in ("mousePressed", "mouseReleased"):
            self.ask("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)

    def press(self, key: str) -> None:
        """Press a key that writes nothing, on what has the focus."""
        code = {"Tab": 9, "End": 35, "Home": 36, "ArrowLeft": 37, "ArrowRight": 39}[key]
        for kind in ("keyDown", "keyUp"):
            self.ask("Input.dispatchKeyEvent", type=kind, key=key, code=key, windowsVirtualKeyCode=code)

    def screenshot(self, path: Path, *, whole: bool = True) -> None:
        """Save a picture of the page, or of the part that the window shows."""
        data = self.ask("Page.captureScreenshot", captureBeyondViewport=whole, **self._clip() if whole else {})["data"]
        path.write_bytes(base64.b64decode(data))

    def _clip(self) -> dict[str, Any]:
        size = self.ask("Page.getLayoutMetrics")["cssContentSize"]
        return {"clip": {"x": 0, "y": 0, "width": size["width"], "height": size["height"], "scale": 1}}

    @property
    def requests(self) -> list[str]:
        """The network requests since the page was opened."""
        sent = [e["params"]["request"]["url"] for e in self.events if e["method"] == "Network.requestWillBeSent"]
        return [url for url in sent if not url.startswith(("file:", "data:", "blob:"))]

    @property
    def complaints(self) -> list[Any]:
        """The messages on the page's console, and uncaught exceptions."""
        methods = ("Log.entryAdded", "Runtime.consoleAPICalled", "Runtime.exceptionThrown")
        return [event["params"] for event in self.events if event["method"] in methods]

    def _receive(self) -> dict[str, Any]:
        message: dict[str, Any] = json.loads(self.socket.recv(timeout=30))
        if "method" in message:
            self.events.append(message)
        return message


@contextmanager
def open_browser(folder: Path) -> Iterator[Page]:
    """Run Chromium with an empty profile in a folder until the block ends."""
    assert CHROMIUM
    command = [CHROMIUM, *_OPTIONS, f"--user-data-dir={folder}", "about:blank"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stderr
            lines = (re.search(r"ws://(127\.0\.0\.1:\d+)/", line) for line in process.stderr)
            address = next(match[1] for match in lines if match)
            page = f"ws://{address}/devtools/page/{_target(address)}"
            with connect(page, max_size=None, ping_interval=None) as socket:  # a busy browser does not answer pings
                yield Page(socket)
        finally:
            process.terminate()
            process.communicate()  # its children, which write into the folder, hold the pipe until they end


def _target(address: str) -> str:
    from urllib.request import urlopen

    with urlopen(f"http://{address}/json") as answer:
        targets: list[dict[str, str]] = json.load(answer)
    return next(target["id"] for target in targets if target["type"] == "page")

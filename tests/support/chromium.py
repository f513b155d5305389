"""A headless Chromium that a test drives: DevTools' protocol over a pipe, without any package."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
from contextlib import contextmanager

import pytest

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
needed = pytest.mark.skipif(
    CHROMIUM is None and "CI" not in os.environ,  # .ci/run installs it: there it is an error
    reason="chromium is not installed: no page was opened",
)


class Page:
    """One page; what it logged, what it asked of a network, and what was downloaded.

    ``problems`` are messages of errors in its console, ``requests`` the addresses of all that
    it loaded.
    """

    def __init__(self, read, write, folder):
        self._read, self._write, self._rest, self._count = read, write, b"", 0
        self.session, self.problems, self.requests = None, [], []
        target = self.send("Target.createTarget", url="about:blank")["targetId"]
        attached = self.send("Target.attachToTarget", targetId=target, flatten=True)
        self.send("Browser.setDownloadBehavior", behavior="allow", downloadPath=str(folder))
        self.session = attached["sessionId"]
        for domain in ("Page", "Runtime", "Network", "Log"):
            self.send(f"{domain}.enable")

    def send(self, method, **params):
        self._count += 1
        message = {"id": self._count, "method": method, "params": params}
        if self.session:
            message["sessionId"] = self.session
        os.write(self._write, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._next()
            if answer.get("id") == self._count:
                assert "error" not in answer, (method, answer["error"])
                return answer["result"]
            self._note(answer)

    def open(self, address):
        self.send("Page.navigate", url=address)
        self.wait("document.readyState === 'complete'")

    def run(self, script):
        """Return the value of an expression of JavaScript."""
        found = self.send(
            "Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True
        )
        assert "exceptionDetails" not in found, found["exceptionDetails"]
        return found["result"].get("value")

    def wait(self, script, seconds=60):
        """Return an expression's first value that is not false."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            value = self.run(script)
            if value:
                return value
            time.sleep(0.01)
        raise AssertionError(f"{script} did not come true; the page says {self.text()!r}")

    def text(self):
        return self.run("document.body.innerText")

    def click(self, text):
        """Click the middle of the button of this text, as a mouse would, once it can be."""
        find = (
            "(() => { const one = [...document.querySelectorAll('button')]"
            f".find(b => b.innerText.trim() === {json.dumps(text)} && !b.disabled);"
            "if (!one) return null; one.scrollIntoView({block: 'nearest'});"
            "const box = one.getBoundingClientRect();"
            "return [box.x + box.width / 2, box.y + box.height / 2]; })()"
        )
        x, y = self.wait(find)
        for kind in ("mousePressed", "mouseReleased"):
            self.send("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)

    def screenshot(self, path):
        import base64

        path.write_bytes(base64.b64decode(self.send("Page.captureScreenshot")["data"]))

    def _next(self):
        while b"\0" not in self._rest:
            more = os.read(self._read, 1 << 16)
            assert more, "chromium has ended"
            self._rest += more
        message, self._rest = self._rest.split(b"\0", 1)
        return json.loads(message)

    def _note(self, event):
        method, params = event.get("method"), event.get("params", {})
        if method == "Network.requestWillBeSent":
            self.requests.append(params["request"]["url"])
        elif method == "Runtime.exceptionThrown":
            self.problems.append(params["exceptionDetails"])
        elif method == "Log.entryAdded" and params["entry"]["level"] == "error":
            self.problems.append(params["entry"]["text"])
        elif method == "Runtime.consoleAPICalled" and params["type"] in ("error", "warning"):
            self.problems.append(params["args"])


@contextmanager
def page(folder, size=(1280, 900)):
    """Yield a page whose downloads go into a folder."""
    (to_read, theirs_out), (theirs_in, to_write) = os.pipe(), os.pipe()
    flags = (
        f"{CHROMIUM} --headless --no-sandbox --disable-gpu --remote-debugging-pipe "
        f"--no-first-run --window-size={size[0]},{size[1]} --user-data-dir={folder}/chromium"
    )
    command = ["bash", "-c", f"exec {flags} 3<&{theirs_in} 4>&{theirs_out}"]
    done = subprocess.Popen(
        command, pass_fds=(theirs_in, theirs_out), stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )  # fmt: skip
    os.close(theirs_in)
    os.close(theirs_out)
    try:
        yield Page(to_read, to_write, folder)
    finally:
        done.kill()
        done.wait()
        os.close(to_read)
        os.close(to_write)

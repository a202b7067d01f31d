"""One Chromium and one local server for all browser tests; `make browser` runs them on the book in `_build/html`."""

import functools
import sys
import threading
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from browser_pages import HTML

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "book" / "_tools"))

from edition_chromium import find_chromium  # noqa: E402
from edition_pages import EditionError  # noqa: E402

LOCAL = ("http://127.0.0.1", "data:", "blob:")


class Quiet(SimpleHTTPRequestHandler):
    """Serves the book and prints nothing. Types that a browser insists on are named, whatever the machine knows."""

    extensions_map = SimpleHTTPRequestHandler.extensions_map | {
        ".js": "text/javascript",
        ".mjs": "text/javascript",
        ".wasm": "application/wasm",
        ".svg": "image/svg+xml",
    }

    def log_message(self, *args):
        pass

    def handle(self):
        try:
            super().handle()
        except (BrokenPipeError, ConnectionResetError):
            pass  # a page was left while it was still loading


def chromium() -> str:
    """The browser's executable; without one the run ends with one line."""
    try:
        return find_chromium()
    except EditionError as error:
        pytest.exit(str(error), returncode=1)


@pytest.fixture(scope="session")
def address():
    """The book's address on a local server, without a slash at the end."""
    if not (HTML / "index.html").is_file():
        pytest.exit(f"{HTML} has no book: run `make book` first", returncode=1)
    server = ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(HTML)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="session")
def browser():
    """One Chromium for the whole run. It resolves no name: what a page wants from elsewhere fails at once."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        started = playwright.chromium.launch(
            executable_path=chromium(),
            args=["--no-sandbox", "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"],
        )
        yield started
        started.close()


def watch(page):
    """Collect in `page.faults` what a reader's console would show, failed requests and requests to other hosts."""
    page.faults = []

    def say(kind, text):
        page.faults.append(f"{kind}: {text}")

    page.on("console", lambda message: message.type == "error" and say("console", message.text))
    page.on("pageerror", lambda error: say("error", error))
    # aborted: the browser itself gave up a request, as when a page sends the reader on before its icon is there
    page.on(
        "requestfailed",
        lambda request: request.failure == "net::ERR_ABORTED" or say("failed", f"{request.url} ({request.failure})"),
    )
    page.on("response", lambda answer: answer.status >= 400 and say("failed", f"{answer.url} ({answer.status})"))
    page.on("request", lambda request: request.url.startswith(LOCAL) or say("foreign", request.url))
    return page


@pytest.fixture
def page(browser):
    """A fresh page in a context of its own (no stored theme, no cache); see `watch` for `page.faults`."""
    context = browser.new_context(viewport={"width": 1280, "height": 900}, color_scheme="light")
    yield watch(context.new_page())
    context.close()

"""Pages in a real browser: Chromium without a window, skipped where there is none.

The fixture `browser_page` is an empty page; `browser` opens pages of other sizes.

    def test_a_page_shows_its_title(browser_page):
        browser_page.goto("http://127.0.0.1:8000")
        assert browser_page.title() == "..."
        browser_page.check()
"""

import os
import shutil
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest

DESKTOP = (1280, 800)
PHONE = (390, 844)

_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
_LOCAL = ("127.0.0.1", "localhost", "")


def find_chromium() -> str | None:
    """Returns the path of a Chromium or Chrome: that of $CHROMIUM, or one on the path."""
    names = [os.environ["CHROMIUM"]] if os.environ.get("CHROMIUM") else _NAMES
    return next(filter(None, map(shutil.which, names)), None)


class BrowserPage:
    """A page of Playwright's with what went wrong on it; other attributes are the page's own.

    Attributes:
        errors: messages of level error on the console, uncaught exceptions, failed requests and
            answers of status 400 and above.
        external: URLs of requests that would leave the machine. They are refused.
    """

    def __init__(self, page):
        self.page = page
        self.errors: list[str] = []
        self.external: list[str] = []
        page.route("**/*", self._route)
        page.on("console", self._note_console)
        page.on("pageerror", lambda error: self.errors.append(f"exception: {error}"))
        page.on("response", self._note_response)
        page.on("requestfailed", self._note_failure)

    def __getattr__(self, name: str):
        return getattr(self.page, name)

    def check(self) -> None:
        """Asserts that nothing went wrong so far and no request left the machine."""
        assert self.errors == []
        assert self.external == []

    def overflow(self) -> int:
        """Returns by how many pixels the page is wider than its window."""
        return self.page.evaluate(
            "document.documentElement.scrollWidth - document.documentElement.clientWidth"
        )

    def _route(self, route) -> None:
        address = urlsplit(route.request.url)
        if address.scheme in ("http", "https", "ws", "wss") and address.hostname not in _LOCAL:
            self.external.append(route.request.url)
            route.abort()
        else:
            route.continue_()

    def _note_console(self, message) -> None:
        if message.type == "error":
            self.errors.append(f"console: {message.text}")

    def _note_response(self, response) -> None:
        if response.status >= 400:
            self.errors.append(f"status {response.status}: {response.url}")

    def _note_failure(self, request) -> None:
        # Left pages abort what they still were asking for.
        if request.url not in self.external and request.failure != "net::ERR_ABORTED":
            self.errors.append(f"{request.failure}: {request.url}")


class Browser:
    """A running Chromium. `open` gives a page in a context of its own."""

    def __init__(self, browser):
        self.browser = browser

    def open(self, size: tuple[int, int] = DESKTOP, **options) -> BrowserPage:
        """Returns an empty page of `size` (width, height in pixels).

        `options` are those of Playwright's `new_context`, such as `permissions`.
        """
        width, height = size
        context = self.browser.new_context(viewport={"width": width, "height": height}, **options)
        return BrowserPage(context.new_page())


# Not for the whole run: while it lasts, Playwright's event loop is the running one.
@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Chromium, for the tests of a module; skips where Playwright or Chromium is missing."""
    playwright = pytest.importorskip("playwright.sync_api", reason="needs: pip install playwright")
    path = find_chromium()
    if path is None:
        pytest.skip("no Chromium: bash run_scripts/setup_browser.sh, or set $CHROMIUM to its path")
    # Chromium refuses to run as root with its sandbox.
    arguments = ["--no-sandbox"] if os.geteuid() == 0 else []
    with playwright.sync_playwright() as started:
        chromium = started.chromium.launch(executable_path=path, args=arguments)
        yield Browser(chromium)
        chromium.close()


@pytest.fixture
def browser_page(browser) -> Iterator[BrowserPage]:
    """An empty page of desktop size, closed after the test."""
    page = browser.open()
    yield page
    page.context.close()

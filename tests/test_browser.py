"""The browser that tests of pages use sees what goes wrong on a page."""

import pytest
from browser import PHONE
from local_server import LocalServer

GOOD = "<!doctype html><link rel=icon href='data:,'><title>Good</title><p>text</p>"
WIDE = GOOD + "<div style='width: 600px'>wide</div>"
ERRORS = GOOD + "<script>console.error('spoken'); missing()</script><img src=/missing.png>"
EXTERNAL = GOOD + "<img src=https://example.com/picture.png>"


class Pages(LocalServer):
    def answer(self, request):
        pages = {"/good": GOOD, "/wide": WIDE, "/errors": ERRORS, "/external": EXTERNAL}
        body = pages.get(request.path, "").encode()
        request.send_response(200 if body else 404)
        request.send_header("Content-Type", "text/html; charset=utf-8")
        request.send_header("Content-Length", str(len(body)))
        request.end_headers()
        request.wfile.write(body)


@pytest.fixture
def address():
    server = Pages()
    yield server.address
    server.stop()


def test_a_good_page_passes(browser_page, address):
    browser_page.goto(f"{address}/good")
    assert browser_page.title() == "Good"
    browser_page.check()


def test_messages_exceptions_and_failed_requests_are_seen(browser_page, address):
    with browser_page.expect_response("**/missing.png"):
        browser_page.goto(f"{address}/errors")
    text = "\n".join(browser_page.errors)
    assert "console: spoken" in text
    assert "exception: missing is not defined" in text
    assert "status 404" in text
    with pytest.raises(AssertionError):
        browser_page.check()


def test_requests_to_other_machines_are_refused_and_seen(browser_page, address):
    browser_page.goto(f"{address}/external")
    assert browser_page.external == ["https://example.com/picture.png"]


def test_a_page_wider_than_a_phone_is_seen(browser, address):
    page = browser.open(PHONE)
    page.goto(f"{address}/wide")
    assert page.overflow() > 200
    page.goto(f"{address}/good")
    assert page.overflow() == 0
    page.context.close()

"""The explorer's server: it answers its own page on this machine, and refuses everything else."""

import concurrent.futures
import http.client
import json
import logging

import pytest
from explorers import served

from bert_tf.explorer.server import MAX_REQUEST_BYTES, ExplorerServer

ASKED = {"inputs": {"text": "The [MASK] was small."}}
JSON = {"Content-Type": "application/json"}


@pytest.fixture(scope="module")
def server(predictors):
    with served(predictors["masked_lm"]) as server:
        yield server


def send(server, method, path, body=None, headers=()):
    """Returns the response and its body."""
    connection = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=30)
    connection.request(method, path, body, dict(headers))
    response = connection.getresponse()
    content = response.read()
    connection.close()
    return response, content


def ask(server, path="/answer/fill_mask", asked=ASKED, **headers):
    body = asked if isinstance(asked, bytes) else json.dumps(asked).encode()
    headers = {name.replace("_", "-"): value for name, value in headers.items()}
    response, content = send(server, "POST", path, body, {**JSON, **headers})
    return response.status, json.loads(content)


def test_the_page_may_load_nothing_and_ask_only_its_server(server):
    response, content = send(server, "GET", "/")
    assert response.status == 200
    assert b"bert-tf explore" in content
    policy = dict(
        part.split(" ", 1) for part in response.headers["Content-Security-Policy"].split("; ")
    )
    assert policy["default-src"] == policy["form-action"] == policy["frame-ancestors"] == "'none'"
    assert policy["connect-src"] == "'self'"
    assert policy["script-src"].startswith("'sha256-")
    assert response.headers["X-Content-Type-Options"] == "nosniff"
    assert response.headers["Cross-Origin-Resource-Policy"] == "same-origin"
    assert "Access-Control-Allow-Origin" not in response.headers


def test_the_page_names_no_address_and_reads_no_text_as_html(server):
    page = server.page.decode()
    addresses = page.count("http://www.w3.org/2000/svg")  # A name, not an address.
    assert page.count("http://") == addresses
    assert "https://" not in page
    for way in ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval("):
        assert way not in page


def test_the_model_is_described_and_asked(server):
    response, content = send(server, "GET", "/model")
    model = json.loads(content)
    assert response.headers["Content-Type"] == "application/json"
    assert (model["name"], model["kind"], model["mask_token"]) == ("small", "masked_lm", "[MASK]")
    status, answer = ask(server)
    assert status == 200
    filled = server.explorer.predictor.fill_mask(ASKED["inputs"]["text"])
    assert answer["best"] == filled.best


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_its_own_page_may_ask(server, host):
    origin = f"http://{host}:{server.server_port}"
    assert ask(server, Host=origin.removeprefix("http://"), Origin=origin)[0] == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "evil.example"},
        {"Host": "evil.example:{port}"},
        {"Host": "127.0.0.1"},
        {"Host": ""},
        {"Origin": "http://evil.example"},
        {"Origin": "http://127.0.0.1:1"},
        {"Origin": "https://127.0.0.1:{port}"},
        {"Origin": "null"},
    ],
    ids=str,
)
def test_other_names_and_pages_are_refused(server, headers):
    headers = {n: v.replace("{port}", str(server.server_port)) for n, v in headers.items()}
    status, answer = ask(server, **headers)
    assert status == 403
    assert set(answer) == {"error"}


def test_a_page_under_another_name_of_this_machine_is_not_served(server):
    response, content = send(server, "GET", "/", headers={"Host": "evil.example"})
    assert response.status == 403
    assert b"<html" not in content


@pytest.mark.parametrize(
    ("path", "asked", "headers", "status", "message"),
    [
        ("/answer/fill_mask", b"{", {}, 400, "JSON object"),
        ("/answer/fill_mask", b"[" * 100_000, {}, 400, "JSON object"),
        ("/answer/fill_mask", b"\xff\xfe\x00", {}, 400, "JSON object"),
        ("/answer/fill_mask", ["text"], {}, 400, "JSON object"),
        ("/answer/fill_mask", {}, {}, 400, "takes text"),
        ("/answer/fill_mask", {"inputs": {"text": "none"}}, {}, 400, "no [MASK] to fill"),
        ("/answer/answer", ASKED, {}, 400, "has the panels fill_mask"),
        ("/answer/../secret", ASKED, {}, 400, "has the panels fill_mask"),
        ("/export", ASKED, {}, 400, "has the panels fill_mask"),
        ("/other", ASKED, {}, 404, "no such answer"),
        ("/answer/fill_mask", ASKED, {"Content_Type": "text/plain"}, 415, "application/json"),
        ("/answer/fill_mask", b"x" * (MAX_REQUEST_BYTES + 1), {}, 413, "262,144 bytes"),
        ("/answer/fill_mask", ASKED, {"Content_Length": "-1"}, 411, "Content-Length"),
    ],
)
def test_a_wrong_request_is_answered_with_a_message(server, path, asked, headers, status, message):
    found, answer = ask(server, path, asked, **headers)
    assert found == status
    assert message in answer["error"]


@pytest.mark.parametrize("path", ["/page.html", "/../setup.py", "/%2e%2e/setup.py", "//etc/passwd"])
def test_no_other_file_is_served(server, path):
    response, content = send(server, "GET", path)
    assert response.status == 404
    assert b"error" in content


def test_text_is_json_whatever_is_in_it(server):
    text = '</script><img src=x onerror=alert(1)> [MASK] "\u2028 \ud83d'
    status, answer = ask(server, asked={"inputs": {"text": text}})
    assert status == 200
    assert answer["masks"]


def test_many_ask_at_once(server):
    texts = [f"{'a ' * number}[MASK]." for number in range(12)]
    with concurrent.futures.ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(lambda t: ask(server, asked={"inputs": {"text": t}})[1], texts))
    filled = server.explorer.predictor.fill_mask(texts)
    assert [answer["best"] for answer in answers] == [one.best for one in filled]


def test_a_failure_of_the_model_is_told_without_its_details(server, monkeypatch, caplog):
    def fail(*_):
        raise RuntimeError("secret")

    monkeypatch.setattr(server.explorer, "answer", fail)
    with caplog.at_level(logging.ERROR):
        status, answer = ask(server)
    assert status == 500
    assert "secret" not in answer["error"]
    assert "secret" in caplog.text


def test_it_listens_on_this_machine_only_and_names_a_port_that_is_taken(server):
    assert server.server_address[0] == "127.0.0.1"
    assert server.address == f"http://127.0.0.1:{server.server_port}/"
    with pytest.raises(OSError, match=f"--port={server.server_port}: .* --port=0 takes a free one"):
        ExplorerServer(server.explorer, server.server_port)

"""The explorer's page in Chromium: results as one types, messages, saved pages, and no request
that leaves the machine."""

import contextlib

import pytest
from browser import DESKTOP, PHONE
from explorers import served

EVIL = '<img src="http://evil.example/x" onerror="document.title=1"><b>[MASK]</b>'
CONTEXT = "😀 It was a good man, they said. The house was small."


@pytest.fixture(scope="module")
def servers(predictors):
    with contextlib.ExitStack() as stack:
        kinds = ("masked_lm", "classification", "span")
        yield {kind: stack.enter_context(served(predictors[kind], kind)) for kind in kinds}


def open_page(browser, size=DESKTOP, **options):
    """A page that notes its requests."""
    page = browser.open(size, **options)
    page.set_default_timeout(120_000)  # Milliseconds; a busy machine takes long.
    page.requests = []
    page.on("request", lambda request: page.requests.append(request.url))
    return page


@pytest.fixture
def page(browser):
    page = open_page(browser)
    yield page
    page.context.close()


def visit(page, server, panel=""):
    page.goto(f"{server.address}#{panel}")
    return page.locator("section:not([hidden])")


def finish(page, server=None):
    """Asserts that nothing went wrong, the page fits, and all requests were to its server."""
    page.check()
    assert page.overflow() == 0
    where = "file://" if server is None else server.address
    assert [url for url in page.requests if not url.startswith((where, "data:", "blob:"))] == []


def test_typing_a_text_fills_its_masks(page, servers):
    panel = visit(page, servers["masked_lm"])
    panel.locator(".reading mark").wait_for()
    panel.get_by_label("Text with masks").fill("The [MASK] was a small [MASK].")
    panel.get_by_text("Mask 2").wait_for()
    filled = servers["masked_lm"].explorer.predictor.fill_mask("The [MASK] was a small [MASK].")
    second = panel.locator(".masks > div").nth(1).get_by_role("button")
    assert second.count() == 5
    token = filled.candidates[1][3].token
    assert second.nth(3).locator(".what").inner_text() == token
    second.nth(3).focus()
    page.keyboard.press("Enter")  # Chooses it for the sentence.
    assert panel.locator(".reading mark").nth(1).inner_text() == token.removeprefix("##")
    assert second.nth(3).get_attribute("aria-pressed") == "true"
    finish(page, servers["masked_lm"])


def test_a_text_that_cannot_be_answered_shows_a_message_until_it_can(page, servers):
    panel = visit(page, servers["masked_lm"])
    field = panel.get_by_label("Text with masks")
    field.fill("no mask here")
    panel.get_by_role("alert").get_by_text("There is no [MASK] to fill").wait_for()
    assert panel.locator(".reading").count() == 0
    assert panel.get_by_role("button", name="Save this result").is_disabled()
    field.fill("")
    panel.get_by_text("Text with masks is empty").wait_for()
    panel.get_by_role("button", name="Insert [MASK]").click()
    panel.locator(".reading mark").wait_for()
    assert not panel.get_by_role("alert").is_visible()
    # A refused text has the status 400, which a browser notes.
    assert all("400" in error for error in page.errors)
    page.errors.clear()
    finish(page, servers["masked_lm"])


def test_text_is_shown_as_text(page, servers):
    panel = visit(page, servers["masked_lm"])
    panel.locator(".reading").wait_for()
    title = page.title()
    panel.get_by_label("Text with masks").fill(EVIL)
    panel.locator(".reading", has_text="onerror").wait_for()
    assert page.locator("img").count() == page.locator("main b").count() == 0
    assert page.title() == title
    finish(page, servers["masked_lm"])


def test_a_class_and_what_each_word_contributes(page, servers):
    server = servers["classification"]
    panel = visit(page, server)
    panel.get_by_label("First text").fill("Unaffable café")
    panel.locator(".word", has_text="Unaffable").wait_for()
    pair = ("Unaffable café", panel.get_by_label("Second text").input_value())
    (answer,) = server.explorer.predictor.predict([pair])
    assert panel.locator("strong").inner_text() == answer.label
    other = next(label for label in answer.probabilities if label != answer.label)
    panel.get_by_role("button", name=other).click()
    panel.get_by_text(f"Words for and against “{other}”").wait_for()
    panel.get_by_text("Values as a table").click()
    found = server.explorer.predictor.attributions(pair, other)
    rows = panel.locator("tbody tr")
    assert rows.count() == len(found.words)
    shown = rows.first.locator("td").nth(1).inner_text().replace("−", "-")
    assert float(shown) == pytest.approx(found.words[0].value, abs=0.006)
    finish(page, server)


def test_an_answer_is_highlighted_where_it_stands(page, servers):
    server = servers["span"]
    panel = visit(page, server)
    panel.get_by_label("Question").fill("Who was it?")
    panel.get_by_label("Passage").fill(CONTEXT)
    panel.locator(".reading", has_text="😀").wait_for()
    found = server.explorer.predictor.answer("Who was it?", CONTEXT)
    place = next(n for n, entry in enumerate(found.nbest) if entry.text)
    panel.locator("button.row").nth(place).click()
    assert panel.locator("mark").inner_text() == found.nbest[place].text
    finish(page, server)


def test_the_attention_of_a_head_is_drawn_and_said(page, servers):
    server = servers["masked_lm"]
    panel = visit(page, server, "attention")
    panel.get_by_label("Text", exact=True).fill("A good man")
    panel.locator(".from .token", has_text="good").wait_for()
    panel.get_by_label("Layer", exact=True).select_option("1")
    assert panel.get_by_label("Layer 1, head 0").get_attribute("aria-pressed") == "true"
    panel.get_by_label("Layer 1, head 0").press("ArrowRight")
    assert panel.get_by_label("Head", exact=True).input_value() == "1"
    maps = server.explorer.predictor.attention("A good man")
    place = maps.tokens.index("good")
    panel.locator(".from .token").nth(place).click()
    shares = maps.probabilities[1, 1, place]
    shown = [float(text.split()[0]) for text in panel.locator(".to .number").all_inner_texts()]
    assert shown == pytest.approx(100 * shares, abs=0.06)
    panel.get_by_text(f"attends most to “{maps.tokens[shares.argmax()]}”").wait_for()
    assert panel.locator("svg line").count() == (shares >= 0.03).sum()
    finish(page, server)


def test_the_nearest_sentences_come_first(page, servers):
    server = servers["masked_lm"]
    panel = visit(page, server, "nearest")
    sentences = ["The house was small.", "A good man."]
    panel.get_by_label("Query").fill("a house")
    panel.get_by_label("Sentences").fill("\n".join(sentences))
    panel.locator("ol li:nth-child(2):last-child").wait_for()  # Of the examples there are more.
    hits = server.explorer.predictor.search("a house", sentences)
    assert panel.locator("ol .what").all_inner_texts() == [hit.text for hit in hits]
    scores = [f"{hit.score:.2f}".replace("-", "−") for hit in hits]
    assert panel.locator("ol .number").all_inner_texts() == scores
    finish(page, server)


def test_panels_are_chosen_with_the_keyboard(page, servers):
    visit(page, servers["masked_lm"])
    page.get_by_role("tab", name="Fill mask").focus()
    page.keyboard.press("ArrowRight")
    tab = page.get_by_role("tab", name="Nearest sentences")
    assert tab.get_attribute("aria-selected") == "true"
    assert page.evaluate("document.activeElement.id") == tab.get_attribute("id")
    page.keyboard.press("Tab")
    page.keyboard.type("Where? ")
    assert page.get_by_label("Query").input_value().endswith("Where? ")
    page.get_by_label("Query").press("Control+Enter")
    page.locator("section:not([hidden]) ol li").first.wait_for()
    finish(page, servers["masked_lm"])


@pytest.mark.parametrize(
    ("kind", "panel"),
    [
        ("masked_lm", "fill_mask"),
        ("classification", "classification"),
        ("span", "answer"),
        ("masked_lm", "attention"),
        ("masked_lm", "nearest"),
    ],
)
def test_a_saved_page_shows_the_result_by_itself(browser, servers, tmp_path, kind, panel):
    page = open_page(browser, PHONE, color_scheme="dark")
    section = visit(page, servers[kind], panel)
    save = section.get_by_role("button", name="Save this result")
    section.locator(".result[aria-busy=false] > *").first.wait_for()
    with page.expect_download() as download:
        save.click()
    file = tmp_path / download.value.suggested_filename
    download.value.save_as(file)
    expected = section.locator(".result").inner_text()
    finish(page, servers[kind])
    page.context.close()
    saved = open_page(browser, PHONE)
    saved.goto(file.as_uri())
    assert saved.locator(".result").inner_text() == expected
    assert saved.get_by_role("button", name="Ask").count() == 0
    assert saved.requests == [file.as_uri()]
    finish(saved)
    saved.context.close()

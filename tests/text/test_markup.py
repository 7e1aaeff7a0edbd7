"""Lines that are markup or data, not sentences."""

import base64

import pytest

from bert_tf.text.markup import find_markup


@pytest.mark.parametrize(
    ("line", "kind"),
    [
        ("<p>It was late.</p>", "tags"),
        ('<doc id="12" url="x" title="King">', "tags"),
        ("He left.<br/>She stayed.", "tags"),
        ("salt &amp; pepper", "entities"),
        ("Caf&#233;", "entities"),
        ("The [[cat]] sleeps.", "wikitext"),
        ("'''Cats''' sleep.", "wikitext"),
        ("== Habitat ==", "wikitext"),
        ('{"text": "It was late."}', "JSON"),
        ("{", "JSON"),
        ('"label": 1,', "JSON"),
        ("],", "JSON"),
        (base64.b64encode(bytes(range(57))).decode(), "base64"),
        ("![cat](data:image/png;base64,iVBORw0KGgo)", "base64"),
        ("It was late.", ""),
        ("Is 3 < 4, and 5 > 4? AT&T; says so: I'm <3 years.", ""),
        ("[1] The first note; {braces} and 'quotes'.", ""),
        ('"He left," she said: "late."', ""),
        ("a" * 500 + " was said by A & B.", ""),
        ("", ""),
    ],
)
def test_a_line_of_markup_or_data_is_told_from_a_sentence(line, kind):
    assert find_markup(line) == kind

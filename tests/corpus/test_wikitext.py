"""What is left of wikitext: expectations written by hand, and mwparserfromhell's own on others."""

import random
import sys
import time

import pytest

from bert_tf.corpus import wikitext_blocks
from bert_tf.corpus.wikitext import DROPPED_PREFIXES, article_paragraphs, is_disambiguation

mwparserfromhell = pytest.importorskip(
    "mwparserfromhell", reason="needs: pip install mwparserfromhell sentencex"
)

PREFIXES = DROPPED_PREFIXES | {"datei", "kategorie"}


def plain(text):
    return list(article_paragraphs(text, PREFIXES))


@pytest.mark.parametrize(
    ("text", "paragraphs"),
    [
        ("'''Cats''' are ''[[felis|felines]]''.", ["Cats are felines."]),
        ("'''''Both''''' and ''the cat's'' tail.", ["Both and the cat's tail."]),
        (
            "[[Cat]]s and [[dog (animal)|dogs]] and [[:Category:Pets|pets]].",
            ["Cats and dogs and pets."],
        ),
        ("A [http://a.org/b site] and [https://c.org].", ["A site and."]),
        ("5&nbsp;km &ndash; caf&eacute; &#x41; &amp;lt;", ["5 km – café A &lt;"]),
        ("Water is H<sub>2</sub>O<br />and<br>10<sup>3</sup>.", ["Water is H2O and 103."]),
        ("One line\nand the next.\n\nAnother.", ["One line and the next.", "Another."]),
        ("-{zh-hans:计算机; zh-hant:電腦}-是机器。", ["计算机是机器。"]),
        ("-{原样}--{A|zh-hans:软件;zh-hant:軟體}--{zh-hans;zh-hant|x}-。", ["原样软件x。"]),
        ("-{[[猫|''家猫'']]}-很小。", ["家猫很小。"]),
        ("__NOTOC__ Text. __FORCETOC__", ["Text."]),
        ("__KEIN_INHALTSVERZEICHNIS__ __目次__Text. __notoc__ __БЕЗОГЛ__", ["Text."]),
        ("Python calls __init__ first.", ["Python calls __init__ first."]),
        (
            "Ask [mailto:a@b.c the office] or [TEL:+12 call] [sic].",
            ["Ask the office or call [sic]."],
        ),
        ("Half &#xD800; and &#0;&#1;&#x110000; none, &#x1F408;.", ["Half and none, 🐈."]),
        ("For &#128;5 &#91;&#91;a&#93;&#93; &#60;b>.", ["For €5 [[a]] <b>."]),
        ("A cat<!-- a -->\n<!-- b\n\nc --> <!-- d -->\nsleeps.\n<!-- e -->", ["A cat sleeps."]),
        ("A cat.\n\n<!-- a -->\n\nA dog.", ["A cat.", "A dog."]),
        (
            "A cat<ref name=a/>\n<ref>b</ref>\nsleeps.\n<references/>\nEnd.",
            ["A cat sleeps.", "End."],
        ),
        ("[[A<!-- b -->|cat]] {{lang<!-- c -->|la|felis}}.", ["cat felis."]),
        (
            "A [[wikt:cat]], [[:de:Katze]], [[w:en:Cat]] and [[:Category:Pets]].",
            ["A cat, Katze, Cat and Pets."],
        ),
        ("[[wikt:cat|cats]] of [[Star Trek: Picard]], [[q:]].", ["cats of Star Trek: Picard, q:."]),
    ],
)
def test_inline_markup_becomes_its_text(text, paragraphs):
    assert plain(text) == paragraphs


@pytest.mark.parametrize(
    "block",
    [
        "{{Infobox|a={{b|{{c}}}}|d=[[e]]}}",
        "{{Box|\n{| class=x\n| a || {{b}}\n|}\n}}",
        '{| class="wikitable"\n! Head\n|-\n| a || b\n{|\n| nested\n|}\n|}',
        ":{|\n| a\n|}",
        "<ref>See {{cite book|title=A}} there.</ref>",
        '<ref name="a" /><ref name=b/>',
        "<REF>See</REF>",
        "<!-- a\n\nb -->",
        "<math>x < y \\frac{{a}}{b}</math>",
        "<gallery>\nFile:a.jpg|A cat\n</gallery>",
        "<syntaxhighlight lang=c>if (a[[0]]) {{</syntaxhighlight>",
        "<table><tr><td>a</td></tr><tr><td><table><tr><td>b</td></tr></table></td></tr></table>",
        "<ul><li>a</li><ul><li>b</li></ul></ul>",
        "[[File:a.jpg|thumb|A [[cat|small cat]] of [[x]].]]",
        "[[Datei:a.jpg|mini|Eine [[Katze]].]][[Kategorie:Tiere]]",
        "[[image:a_b.png]][[fr:Chat]]",
        "<templatestyles src='a' />",
        "[[File:a.jpg|thumb|See [http://x.org the site]]]",
        "[[File:a.jpg|thumb|See [//x.org [[the]] {{a}}site]]]",
        "{{cite|title={b}}}{{{1|x}}}{{a|{{{b|{{{c}}}}}}}}",
        "-{T|zh-hans:标题甲;zh-hant:標題甲}--{H|zh-hans:软件;zh-hant:軟體}--{A;H|zh:x}--{-|zh:x}-",
    ],
)
def test_what_is_no_prose_is_taken_out_whole(block):
    assert plain(f"Before.\n{block}\nAfter.") in (["Before. After."], ["Before.", "After."])
    assert plain(f"{block}\n\nAfter.") == ["After."]


def test_headers_lists_and_rows_are_dropped():
    text = (
        "Text one.\n== Header ==\n* item\n# item\n: item\n; term\n| a = b\n! head\n|-\n----\n"
        "=== ''Other'' ===<!-- x -->\n<h2>Old</h2>\nText two.\n=Broken header\n"
    )
    assert plain(text) == ["Text one.", "Text two."]


def test_an_exclamation_mark_begins_a_row_only_in_a_table():
    assert plain("!Kung is spoken.\n\n!Xóõ is, too.") == ["!Kung is spoken.", "!Xóõ is, too."]
    assert plain("They speak\n!Kung there.\nAnd so on.") == ["They speak !Kung there. And so on."]
    assert plain("!'''Kung''' is [[a|''one'']].") == ["!Kung is one."]
    assert plain("{|\n!Name\n!Age\n|-\n|x\n!y\n\nText.") == ["Text."]
    assert plain("!Name!!Age\n! scope=col\n!scope=col|Age\n!a||b\n!\n|-\n!Cat\nText.") == ["Text."]


def test_literal_text_stays_as_it_is():
    assert plain("Write <nowiki>[[a|b]] {{c}} <ref></nowiki> so.") == [
        "Write [[a|b]] {{c}} <ref> so."
    ]


def test_templates_that_are_part_of_a_sentence_give_their_text():
    text = (
        "It is {{convert|5|km|mi}} or {{convert|3|to|4|m}} long, {{lang|fr|[[a|très]] bien}}, "
        "{{nowrap|{x}}}, {{nowrap|a b}}{{snd}}{{IPA|x}}."
    )
    assert plain(text) == ["It is 5 km or 3 to 4 m long, très bien, {x}, a b –."]


def test_what_a_template_leaves_between_brackets_is_no_empty_pair():
    assert plain("Kyiv ({{IPA|x}}; {{lang-uk|y}}) is a city ({{audio}}).") == ["Kyiv is a city."]
    assert plain("Kyiv ({{IPA|x}}, a city).") == ["Kyiv (a city)."]
    assert plain("Kyiv (also Kiev, {{lang-uk|x}}) is a city.") == ["Kyiv (also Kiev) is a city."]
    assert plain("東京（とうきょう、{{lang-en|Tokyo}}）は都市。") == ["東京（とうきょう）は都市。"]
    assert plain("A ((b; {{c}}); d: {{e}} ) f.") == ["A ((b); d) f."]


@pytest.mark.parametrize(
    "opened",
    [
        *(
            "<ref>",
            "<ref name=a>",
            "<math>",
            "<!-- ",
            "{{cite",
            "{{a|{{b}}",
            "<gallery>",
            "<table>",
        ),
        *("{|", "[[", "[[a|", "''", "'''", "<b>", "<nowiki>", "[http://a.org b", "<ref", "<div>"),
        *("[[File:a.jpg|thumb", "</ref>", "}}", "]]", "|}", "</div>", "-{", "&", "<"),
    ],
)
def test_what_is_never_closed_does_not_eat_the_next_lines(opened):
    text = f"A first sentence.\nThen {opened} more\n\nA second one.\n\nA [[third]] {{{{x}}}}one."
    assert plain(text)[0].startswith("A first sentence. Then")
    assert plain(text)[-2:] == ["A second one.", "A third one."]
    assert plain(f"{opened}\n\nKept.")[-1] == "Kept."


def test_a_link_that_is_never_closed_shows_what_a_closed_one_would():
    assert plain("He saw [[dog|big dogs and left.\n\nMore.") == [
        "He saw big dogs and left.",
        "More.",
    ]
    assert plain("He saw [[dogs and left.") == ["He saw dogs and left."]
    assert plain("One. [[File:cat.jpg|thumb|A [[cat]] sleeps.\nTwo.") == ["One. Two."]
    assert plain("One. [[Datei:cat.jpg|A [[dog|big dog") == ["One."]


def test_a_reference_without_an_end_does_not_reach_the_next_one():
    text = "One.<ref>lost\nTwo.<ref>x</ref> Three."
    assert plain(text) == ["One. Two. Three."]


def test_links_and_emphasis_are_resolved_as_the_library_would():
    """Random well-formed text: the library alone, against what is done before it."""
    rng = random.Random(3)
    pieces = [
        *("word", "two words", "[[Link]]", "[[link|shown text]]", "''italic''", "'''bold'''"),
        *("[[a|''b'']]", "&amp;", "&eacute;", "isn't", "[http://a.org text]", "''it [[b]]''"),
        *("'''''x'''''", "[[Link#Part|part]]", "[[a|b|c]]", "x < y", "<small>s</small>"),
    ]
    for _ in range(300):
        text = " ".join(rng.choices(pieces, k=rng.randint(1, 12)))
        expected = mwparserfromhell.parse(text).strip_code(normalize=True, collapse=True)
        assert plain(f"x {text}") == [f"x {' '.join(expected.split())}"], text


@pytest.mark.parametrize(
    "piece",
    [
        *("[[", "]]", "{{", "}}", "{{a", "[[a|", "[[a]]", "<b>", "<ref>", "<ref name=", "<ref/>"),
        *(
            "''a'''b",
            "{|\n",
            "|}\n",
            "<table>",
            "</table>",
            "[http://a ",
            "<!--",
            "-{",
            "( ",
            "&am",
        ),
        *("<h2>", "<math>", "{{nowrap|", "<nowiki>", "__AB", "{{[[", "* a\n", "<", "   ", "\n"),
    ],
)
def test_endless_repetition_takes_seconds_at_most(piece):
    start = time.process_time()
    plain("x " + piece * (200_000 // len(piece)))
    assert time.process_time() - start < 5  # The library alone takes minutes for some.


@pytest.mark.parametrize(
    ("opening", "closing"),
    [
        *(("[[", "}}"), ("[[a", "]]"), ("{{", "]]"), ("{{", "\n|}\n"), ("<ul>", "}}")),
        *(("<ul>", "\n|}\n"), ("{|\n", "}}"), ("[[", "</table>"), ("<ol>", "</ul>")),
    ],
)
def test_twice_the_text_takes_twice_the_steps(opening, closing):
    def steps_for(text):
        steps = 0

        def count(frame, event, _):
            nonlocal steps
            steps += 1
            return count if frame.f_code.co_filename == wikitext_blocks.__file__ else None

        before = sys.gettrace()
        sys.settrace(count)
        try:
            wikitext_blocks.remove_blocks(text, PREFIXES)
        finally:
            sys.settrace(before)
        return steps

    for make in (lambda n: (opening + closing) * n, lambda n: opening * n + closing * n):
        assert steps_for(make(400)) < 2.2 * steps_for(make(200))


def test_the_end_of_a_comment_is_not_looked_for_at_every_beginning():
    class Text(str):
        searched = 0  # characters at most

        def find(self, what, start, end=None):
            if what == "-->":
                Text.searched += max((len(self) if end is None else end) - start, 0)
            return super().find(what, start, end)

    text = Text("a <!--\n" * 100)
    assert wikitext_blocks.remove_blocks(text, PREFIXES).split() == ["a"] * 100
    assert Text.searched <= len(text)


def test_links_in_links_are_not_read_over_and_over():
    text = "[[word " * 2000 + "]]" * 2000
    read = []

    class Remover(wikitext_blocks._Remover):
        def _link(self, content):
            read.append(len(content))
            return super()._link(content)

    assert Remover(text, PREFIXES).remove().split() == ["word"] * 2000
    assert max(read) <= 5000


@pytest.mark.parametrize(
    "template",
    [
        *("disambiguation", "Disambig", "disambiguation|geo", "dab", "hndis|Smith, John", "geodis"),
        *("human name disambiguation", "Human_name_disambiguation", "Begriffsklärung", "dp"),
        *("Homonymie", "Homonymie de personnes", "desambiguación", "Desambiguação", "disambigua"),
        *("ujednoznacznienie", "неоднозначность\n|тип=1", "förgrening", "rozcestník", "egyért"),
        *("aimai", "人名の曖昧さ回避", "消歧义", "消歧義頁", "동음이의", "توضيح", "ابهام‌زدایی"),
        *("פירושונים", "anlam ayrımı", "täsmennyssivu", "trang định hướng", " disambig "),
    ],
)
def test_pages_that_list_articles_of_one_name_are_known(template):
    assert is_disambiguation("Mercury", f"'''Mercury''' may be:\n* x\n{{{{{template}}}}}")


def test_pages_are_known_by_their_title_and_magic_word_too():
    assert is_disambiguation("Mercury (disambiguation)", "")
    assert is_disambiguation("Mercury", "* x\n__DISAMBIG__")


@pytest.mark.parametrize(
    "template",
    [
        *("disambiguation needed|date=May 2024", "disambiguation needed", "Disambig needed"),
        *("Begriffsklärungshinweis", "egyért-redir|x", "nota disambigua|x", "disambigR|x"),
        *("desambiguación necesaria", "voir homonymes|x", "Infobox planet", "dpz|x", "dablink|x"),
        *(
            "zie doorverwijspagina",
            "消歧义链接",
            "曖昧さ回避リンク",
            "other uses|x (disambiguation)",
        ),
    ],
)
def test_an_article_that_only_points_to_such_a_page_is_kept(template):
    assert not is_disambiguation("Mercury", f"{{{{{template}}}}} It is a [[planet]].")

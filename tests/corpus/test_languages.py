"""Codes of languages, as people give them and as the headers of dumps have them."""

import pytest

from bert_tf.corpus.languages import LANGUAGES, check_language, is_same_language, wikipedia_code
from bert_tf.corpus.sources import find_inputs
from bert_tf.settings import CorpusSettings

# As MediaWiki writes it in the header, and the code of the Wikipedia.
HEADERS = [
    *(("nds-NL", "nds-nl"), ("egl", "eml"), ("jv-x-bms", "map-bms"), ("nrf", "nrm")),
    *(("nap-x-tara", "roa-tara"), ("cbk", "cbk-zam"), ("sgs", "bat-smg"), ("vro", "fiu-vro")),
    *(("rup", "roa-rup"), ("lzh", "zh-classical"), ("nan", "zh-min-nan"), ("yue", "zh-yue")),
    *(("gsw", "als"), ("be-tarask", "be-x-old"), ("nb", "no"), ("bho", "bh"), ("crh-Latn", "crh")),
    *(("ro-Cyrl-MD", "mo"), ("ike-Cans", "iu"), ("en", "simple"), ("en-simple", "simple")),
    *(("de", "de"), ("be-tarask", "be")),
]


@pytest.fixture
def find_input(tmp_path, make_dump):
    """A function: the input that a dump with a language in its header is found to be."""

    def find(header, language):
        path = tmp_path / "dump.xml"
        path.write_text(make_dump([], header), encoding="utf-8")
        (found,) = find_inputs(
            CorpusSettings(input_file=(str(path),), output_dir="out", language=language)
        )
        return found

    return find


@pytest.mark.parametrize(("header", "code"), HEADERS)
def test_a_dump_is_taken_with_either_code_and_with_none(find_input, header, code):
    assert wikipedia_code(header) in LANGUAGES
    assert find_input(header, "").language == wikipedia_code(header)
    assert find_input(header, header).language == wikipedia_code(header)
    assert find_input(header, code).language == code


def test_a_code_that_the_list_has_stays_and_others_become_one_that_it_has():
    assert [wikipedia_code(code) for code in ("gsw", "als", "EN", "egl", "nds-NL", "xx-Latn")] == [
        *("gsw", "als", "en", "eml", "nds-nl", "xx")
    ]
    assert check_language("zh-Hant", "--language") == "zh"


@pytest.mark.parametrize(
    ("given", "header"),
    [
        *(("simple", "de"), ("simple", "egl"), ("de", "en"), ("als", "sq"), ("en", "de")),
        *(("roa-rup", "nap-x-tara"), ("roa-rup", "roa-tara"), ("zh", "yue"), ("sgs", "lt")),
    ],
)
def test_another_language_than_the_dumps_is_refused(find_input, given, header):
    assert not is_same_language(given, header)
    with pytest.raises(ValueError, match=f"says that its language is {header!r}.*{given!r}"):
        find_input(header, given)


def test_an_input_may_have_its_language_before_it():
    settings = CorpusSettings(
        input_file=("simple=a.xml", "nds-NL=b.xml", "c=d.xml"), output_dir="o"
    )
    assert settings.inputs_by_language() == [
        ("simple", "a.xml"),
        ("nds-NL", "b.xml"),
        ("", "c=d.xml"),
    ]


def test_an_unknown_language_is_refused_with_those_that_are_known():
    assert {"en", "zh", "ja", "zh-min-nan"} <= LANGUAGES
    with pytest.raises(ValueError, match=r"language 'eng' is not known. Known: aa, ab"):
        check_language("eng", "--language")

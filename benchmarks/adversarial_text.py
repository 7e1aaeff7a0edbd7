"""Whether the time that text takes grows with its length only, whatever the text is.

    python benchmarks/adversarial_text.py --vocab_file=vocab.txt

Every way that text takes through the package gets pieces of markup, marks, quotes and other text,
repeated to two lengths, of which the second is four times the first. Prints those that take more
than eight times as long, in processor time, and exits with 1 if there are any. Takes some ten
minutes. Needs the libraries of prepare_corpus.py.
"""

import collections
import signal
import sys
import time
from collections.abc import Callable, Iterable

from absl import app, flags

from bert_tf.corpus.books import book_paragraphs, lines_of_books
from bert_tf.corpus.sentences import is_heading, split_sentences
from bert_tf.corpus.web_pages import extracted_paragraphs, web_page_paragraphs
from bert_tf.corpus.wikitext import DROPPED_PREFIXES, article_paragraphs, is_disambiguation
from bert_tf.metrics.squad import normalize_answer
from bert_tf.text.markup import find_markup, unescape
from bert_tf.text.tokenization import FullTokenizer

FLAGS = flags.FLAGS
flags.DEFINE_string("vocab_file", None, "Any vocabulary.", required=True)
flags.DEFINE_integer("characters", 12_000, "The shorter of the two lengths.")
flags.DEFINE_list("only", [], "Paths to take; all by default.")

MOST = 8  # Times as long for four times the text.
NOTICED = 0.05  # Seconds; less is noise.
TIMEOUT = 20  # Seconds.
WORDS = """
a A Aa 0 9. 4.5 19. a. A. . .. ? ! … , , : ; - — # ## * = == ( ) () [ ] { } < > & &amp &amp; &#
&#1 &#x ' '' ''' ''''' " “ ” 「 」 「。 。」 。 ！ （ 《 「あ あ 가 ก กี क् 😀 İ ß ﷺ ẞ J.-J. J.-C.
[[ ]] [[a| [[a]] {{ }} {{a| {{{ {| |} -{ }- -{a| __ __a __a_ [http:// [// http:// http://a.b/ a@b.
<ref> </ref> <ref <ref/> <!-- --> <nowiki> </nowiki> <math> <div> </div> <div <table> </table> <br>
<br <p <a'" <script> <script </script <title> <!DOCTYPE <![CDATA[ <? {"a": [{ "a +/ ;base64,
Dr. etc. {{disambig {{homonymie の曖昧さ *END* ***
"""
PIECES = [
    *WORDS.split(),
    *(f"{word} " for word in WORDS.split()),
    *(f"{word}\n" for word in ("a", "#", "==", "{|", "|}", "", "*** START OF", "* a")),
    *(" ", "\t", "\r", "\u3000", "\u2028", "\x1c", "\x85", "\u00ad", "\u200d", "\0", "\n|", "( ,"),
    *("\u0301", "\u0301\u0316", "a\u0301\u0316", "\u302e\U0001d165", "\u0344", "\u0f73\u0f71"),
    *("*** START OF THE PROJECT GUTENBERG ", "*** END OF ", "End of the "),
]


def use(lazy: Iterable) -> None:
    collections.deque(lazy, 0)


def paths() -> dict[str, Callable[[str], object]]:
    uncased, cased = (FullTokenizer(FLAGS.vocab_file, lower) for lower in (True, False))
    return {
        "tokenize": uncased.tokenize,
        "tokenize cased": cased.tokenize,
        "offsets": uncased.tokenize_with_offsets,
        "find_markup": lambda text: find_markup(text.strip()),
        "unescape": unescape,
        "is_heading": is_heading,
        **{
            f"sentences {language}": lambda text, language=language: split_sentences(text, language)
            for language in ("en", "de", "fr", "ru", "zh", "ja")
        },
        "book": lambda text: use(book_paragraphs(text, "en")),
        "gutenberg": lambda text: use(lines_of_books(enumerate(text.split("\n")))),
        "article": lambda text: use(article_paragraphs(text, DROPPED_PREFIXES)),
        "disambiguation": lambda text: is_disambiguation("a", text),
        "html": lambda text: use(web_page_paragraphs(text)),
        "extracted": lambda text: use(extracted_paragraphs(text)),
        "answer": normalize_answer,
    }


def seconds(take: Callable[[str], object], text: str) -> float:
    """Returns the least processor time of two runs."""
    times = []
    for _ in range(2):
        start = time.process_time()
        take(text)
        times.append(time.process_time() - start)
    return min(times)


def compare(take: Callable[[str], object], piece: str) -> str:
    """Returns what is wrong with a path's time for a piece of text, or ""."""
    times = []
    for characters in (FLAGS.characters, 4 * FLAGS.characters):
        signal.setitimer(signal.ITIMER_REAL, TIMEOUT)
        try:
            times.append(seconds(take, piece * (characters // len(piece))))
        except TimeoutError:
            return f"more than {TIMEOUT} s for {characters:,} characters"
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
    short, long = times
    is_slow = long > NOTICED and long > MOST * short
    return f"{short:.3f} s, then {long:.3f} s for four times the text" if is_slow else ""


def stop(*_: object) -> None:
    raise TimeoutError


def main(_: list[str]) -> None:
    signal.signal(signal.SIGALRM, stop)
    found = 0
    for name, take in paths().items():
        if not FLAGS.only or name in FLAGS.only:
            for piece in PIECES:
                if problem := compare(take, piece):
                    print(f"{name:<16} {piece!r:<24} {problem}", flush=True)
                    found += 1
    print(f"{found} of the paths and pieces take more than time in proportion to the text.")
    sys.exit(found > 0)


if __name__ == "__main__":
    app.run(main)

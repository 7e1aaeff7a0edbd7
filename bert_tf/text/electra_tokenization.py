"""ELECTRA's tokenizer: BERT's WordPiece, which drops more characters.

In BERT control and format characters are dropped (Unicode's classes Cc and Cf), in ELECTRA all of
C*: unassigned and private ones, too.

Source: google-research/electra, model/tokenization.py, `_is_control`.
"""

from typing import Any

from bert_tf.text.characters import CLEAN_OF_ELECTRA
from bert_tf.text.tokenization import BasicTokenizer, FullTokenizer, convert_to_unicode


class ElectraBasicTokenizer(BasicTokenizer):
    """Splits text into words; see `BasicTokenizer` for the arguments.

    Example:

        ElectraBasicTokenizer().tokenize("Caf\\u00e9\\ue000!")  # ["cafe", "!"]
    """

    def clean(self, text: str | bytes) -> str:
        """Drops control and unassigned characters, and does what BERT's does."""
        text = convert_to_unicode(text)
        is_clean = text.isascii() and text.isprintable()
        return text if is_clean else text.translate(CLEAN_OF_ELECTRA)


class ElectraTokenizer(FullTokenizer):
    """Converts text to the ids of its word pieces; see `FullTokenizer` for the arguments."""

    drops_unassigned = True

    def __init__(
        self, vocab_file: str, do_lower_case: bool = True, strip_accents: bool | None = None
    ):
        super().__init__(vocab_file, do_lower_case, strip_accents)
        self.basic_tokenizer = ElectraBasicTokenizer(do_lower_case, strip_accents)

    def in_graph(self) -> Any:
        """Returns the same tokenizer for TensorFlow graphs, see `graph_tokenization`."""
        from bert_tf.text.graph_tokenization import GraphTokenizer

        case = self.do_lower_case, self.strips_accents
        return GraphTokenizer(list(self.vocab), *case, drops_unassigned=True)

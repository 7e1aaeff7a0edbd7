"""ELECTRA's tokenizer: BERT's WordPiece, which drops more characters.

In BERT control and format characters are dropped (Unicode's classes Cc and Cf), in ELECTRA all of
C*: unassigned and private ones, too.

Source: google-research/electra, model/tokenization.py, `_is_control`.
"""

from bert_tf.text.characters import CLEAN_OF_ELECTRA
from bert_tf.text.tokenization import BasicTokenizer, FullTokenizer


class ElectraBasicTokenizer(BasicTokenizer):
    """Splits text into words; see `BasicTokenizer` for the arguments.

    Example:

        ElectraBasicTokenizer().tokenize("Caf\\u00e9\\ue000!")  # ["cafe", "!"]
    """

    characters = CLEAN_OF_ELECTRA


class ElectraTokenizer(FullTokenizer):
    """Converts text to the ids of its word pieces; see `FullTokenizer` for the arguments."""

    basic_class = ElectraBasicTokenizer
    drops_unassigned = True

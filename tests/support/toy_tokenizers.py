"""Tokenizers other than `FullTokenizer` that follow the `Tokenizer` protocol."""

from bert_tf.text.tokenizer import SpecialIds, Tokenizer


class ToyTokenizer(Tokenizer):
    """Divides words into pieces of two characters; like byte-level BPE, it marks where words begin.

    tokenize("to them")    # ["Ġto", "Ġth", "em"]

    Its special tokens are RoBERTa's, and pieces have the ids in which they first occur in `text`.
    """

    def __init__(self, text, do_lower_case=False):
        self.do_lower_case = do_lower_case
        self.vocab = {"<s>": 0, "<pad>": 1, "</s>": 2, "<unk>": 3, "<mask>": 4}
        self.special_ids = SpecialIds(pad=1, unk=3, cls=0, sep=2, mask=4)
        for piece, _ in self._pieces(text):
            self.vocab.setdefault(piece, len(self.vocab))

    def _pieces(self, text):
        end = 0
        for word in text.split():
            begin = text.index(word, end)
            end = begin + len(word)
            for start in range(begin, end, 2):
                piece = text[start : min(start + 2, end)]
                piece = piece.lower() if self.do_lower_case else piece
                yield (piece if start > begin else f"Ġ{piece}"), (start, min(start + 2, end))

    def tokenize(self, text):
        return self.tokenize_with_offsets(text)[0]

    def tokenize_with_offsets(self, text):
        pieces = list(self._pieces(text))
        tokens = [piece if piece in self.vocab else "<unk>" for piece, _ in pieces]
        return tokens, [span for _, span in pieces]

    def continues_word(self, token):
        return not token.startswith(("Ġ", "<"))

    def split_words(self, text):
        return (text.lower() if self.do_lower_case else text).split()

    def join_tokens(self, tokens):
        return "".join(tokens).replace("Ġ", " ").strip()


class VocabularyTokenizer:
    """A WordPiece vocabulary without text: what making examples of ids needs."""

    def __init__(self, vocab):
        self.vocab = vocab
        self.special_ids = SpecialIds(
            *(vocab[name] for name in ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"))
        )

    def continues_word(self, token):
        return token.startswith("##")

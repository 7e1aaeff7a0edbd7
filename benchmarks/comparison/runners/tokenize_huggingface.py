"""Tokenizes by transformers' BertTokenizerFast, or by its library `tokenizers` alone."""

import os

from plain_text import VOCAB
from reporting import num_threads, read_settings, report_versions
from tokenizing import measure, one_by_one

SETTINGS = read_settings()


def make():
    if SETTINGS.variant == "tokenizers":
        from tokenizers import BertWordPieceTokenizer

        tokenizer = BertWordPieceTokenizer(VOCAB, lowercase=True)._tokenizer
        encode = tokenizer.encode_batch_fast  # Without offsets.
        return lambda lines: [row.ids for row in encode(lines, add_special_tokens=False)]
    from transformers import BertTokenizerFast

    tokenizer = BertTokenizerFast(vocab=VOCAB)
    nothing_else = {"return_attention_mask": False, "return_token_type_ids": False}
    return lambda lines: tokenizer(lines, add_special_tokens=False, **nothing_else)["input_ids"]


if __name__ == "__main__":
    os.environ["RAYON_NUM_THREADS"] = str(num_threads())
    report_versions("tokenizers", "transformers")
    measure(SETTINGS, one_by_one(make()))

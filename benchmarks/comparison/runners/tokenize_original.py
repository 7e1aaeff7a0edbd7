"""Tokenizes by google-research's FullTokenizer."""

import sys

from absl import flags
from bert.tokenization import FullTokenizer
from plain_text import VOCAB
from reporting import read_settings, report_versions
from tokenizing import measure, one_by_one

if __name__ == "__main__":
    flags.FLAGS(sys.argv[:1])
    report_versions("bert-tensorflow")
    tokenizer = FullTokenizer(VOCAB)
    to_ids, tokenize = tokenizer.convert_tokens_to_ids, tokenizer.tokenize
    measure(read_settings(), one_by_one(lambda lines: [to_ids(tokenize(line)) for line in lines]))

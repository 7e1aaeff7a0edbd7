"""The vector that a model gives to one word in several sentences."""

import re
from collections.abc import Sequence
from typing import Any

import numpy as np

from bert_tf.text.tokenizer import Tokenizer


def word_vectors(
    predictor: Any, tokenizer: Tokenizer, sentences: Sequence[str], word: str
) -> np.ndarray:
    """Returns the last layer's vector of a word in each sentence, float32 [N, H].

    A word of several pieces has the mean of theirs. The first occurrence counts.

    Args:
        predictor: a `bert_tf.Predictor`.
        tokenizer: the model's.

    Raises a ValueError for a sentence without the word.
    """
    vectors = []
    for sentence, of_tokens in zip(
        sentences, predictor.embed(list(sentences), "tokens"), strict=True
    ):
        found = re.search(rf"\b{re.escape(word)}\b", sentence, re.IGNORECASE)
        if found is None:
            raise ValueError(f"There is no word {word!r} in {sentence!r}.")
        _, offsets = tokenizer.tokenize_with_offsets(sentence)
        places = [
            place + 1  # [CLS] is before them.
            for place, (start, end) in enumerate(offsets)
            if start < found.end() and found.start() < end
        ]
        vectors.append(of_tokens[places].mean(axis=0))
    return np.stack(vectors)

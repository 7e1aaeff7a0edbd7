"""Defines PretrainingDataSettings: how pre-training records are made."""

import dataclasses

from bert_tf.files.paths import resolve_path
from bert_tf.settings.setting import Settings, setting

# Percent of the masked tokens that become [MASK], stay as they are, become a random token.
MASKING_MIX = "80,10,10"
# Default uses of the text, by kind of masking. Dynamic masking needs no copies for other masks.
DUPE_FACTORS = {"static": 10, "dynamic": 1}
# Those that are not a file of words.
NAMED_SEGMENTERS = ("jieba", "spaces")
# SpanBERT's: p of the geometric distribution of span lengths, and the longest span in words.
SPAN_GEOMETRIC_P, MAX_SPAN_WORDS = 0.2, 10

_OF_MASKS_AND_PAIRS = (
    *("do_whole_word_mask", "max_predictions_per_seq", "dupe_factor", "masked_lm_prob"),
    *("short_seq_prob", "masking", "masking_mix", "word_segmenter", "mend_quirks"),
    "mask_smoothing",
    *("next_sentence", "ngram", "favor_shorter_ngram", "ngram_seed", "sentence_order"),
)


@dataclasses.dataclass(frozen=True)
class PretrainingDataSettings(Settings):
    """Settings of making sentence pairs with masked tokens from text.

    The first eleven fields are the original's flags; with these alone, the records are the
    original's. A string as `input_file` or `output_file` is split at its commas.

    Source: google-research/bert, create_pretraining_data.py.
    """

    input_file: tuple[str, ...] = setting(
        (), "Text files or patterns: a sentence a line, a blank line between documents."
    )
    vocab_file: str = setting(
        "", "The vocabulary, a token a line; a SentencePiece model; or byte-level BPE (vocab.json)."
    )
    output_file: tuple[str, ...] = setting((), "Record files, written to in turn; or --output_dir.")
    do_lower_case: bool = setting(True, "Whether to lower-case text, as in the vocabulary.")
    do_whole_word_mask: bool = setting(False, "Whether to mask all pieces of a word together.")
    max_seq_length: int = setting(128, "Tokens of an example, with padding.", at_least=5)
    max_predictions_per_seq: int = setting(20, "Masked tokens of an example at most.", at_least=1)
    random_seed: int = setting(12345, "Seed of the random number generator.")
    dupe_factor: int | None = setting(
        None,
        "Uses of the text, with other masks. Default: 10, or 1 with --masking=dynamic.",
        at_least=1,
    )
    masked_lm_prob: float = setting(0.15, "Fraction of tokens to mask.", interval="(0, 1)")
    short_seq_prob: float | None = setting(
        None,
        "Fraction of shorter examples. Default: 0.1, or 0 with --do_span_mask and "
        "--full_sentences.",
        interval="[0, 1]",
    )
    # Beyond the original: shards are made independently, so that memory is bounded by one shard.
    output_dir: str | None = setting(None, "Folder for shards, instead of --output_file.")
    num_shards: int = setting(1, "Record files in --output_dir.", at_least=1)
    num_workers: int = setting(1, "Processes that make shards.", at_least=1)
    masking: str = setting(
        "static",
        "static: mask now. dynamic: every epoch of training masks other tokens.",
        choices=tuple(DUPE_FACTORS),
    )
    masking_mix: str = setting(
        MASKING_MIX, "Percent of masked tokens that become [MASK], stay, become a random token."
    )
    mask_smoothing: float = setting(
        0.0,
        "With --masking=dynamic: rare tokens are masked more often, in proportion to their number "
        "in the records to the power of minus this, as DistilBERT's 0.7. 0: all alike.",
        interval="[0, inf)",
    )
    do_span_mask: bool = setting(
        False,
        "Whether to mask spans of whole words, as SpanBERT does, for "
        "--objective=masked_lm+span_boundary: see docs/family.md.",
    )
    span_geometric_p: float = setting(
        SPAN_GEOMETRIC_P,
        "With --do_span_mask: the probability that a span ends after each of its words.",
        interval="(0, 1]",
        only_with="do_span_mask",
    )
    max_span_words: int = setting(
        MAX_SPAN_WORDS,
        "With --do_span_mask: the longest span that is drawn, in words.",
        at_least=1,
        only_with="do_span_mask",
    )
    word_segmenter: str = setting(
        "",
        "What joins Chinese characters to words, for --do_whole_word_mask: jieba; spaces, where "
        "the text has spaces between words; or a file with a word on each line.",
    )
    gzip: bool = setting(False, "Whether to compress the record files.")
    mend_quirks: bool = setting(False, "Whether to fix what harms models: see docs/differences.md.")
    next_sentence: bool = setting(
        True,
        "Whether to make labelled sentence pairs. If not, an example is one segment, for the "
        "objectives without next sentence prediction.",
    )
    full_sentences: bool = setting(
        False,
        "Whether an example is filled with sentences of consecutive documents, with a separator "
        "between documents, as in RoBERTa. It sets --next_sentence=false and --mend_quirks, so "
        "that no special token is a random replacement.",
    )
    packing: str = setting(
        "bert",
        "electra: two segments of consecutive text and no masks, for --objective=replaced_tokens; "
        "with ELECTRA's tokenizer, which drops unassigned characters.",
        choices=("bert", "electra"),
    )
    blanks_separate_docs: bool = setting(
        True, "With --packing=electra: whether a blank line ends a document, as the end of a file."
    )
    strip_accents: bool | None = setting(
        None, "Whether to strip accents. Default: as --do_lower_case."
    )
    ngram: int = setting(
        0,
        "The longest n-gram of words that is masked together, with P(n) ~ 1/n, as ALBERT's 3; "
        "records then have token_boundary, too. 0: single words or tokens, as in BERT.",
        at_least=0,
    )
    favor_shorter_ngram: bool = setting(
        True,
        "With --ngram: whether short n-grams are more frequent, and not long ones.",
        only_with="ngram",
    )
    ngram_seed: int | None = setting(
        None,
        "With --ngram: seed of the lengths of n-grams. Default: --random_seed.",
        only_with="ngram",
    )
    sentence_order: bool = setting(
        False,
        "With --ngram: whether label 1 means that A and B are swapped, for "
        "--objective=masked_lm+sentence_order, and not that B was drawn at random.",
        only_with="ngram",
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("input_file", "output_file"):
            object.__setattr__(self, name, tuple(map(str, getattr(self, name))))
        if self.packing == "electra":
            self._check_packing()
            object.__setattr__(self, "dupe_factor", 1)
            object.__setattr__(self, "next_sentence", False)
        elif not self.blanks_separate_docs:
            raise ValueError("--blanks_separate_docs=false needs --packing=electra.")
        if self.full_sentences:
            self._check_full_sentences()
            object.__setattr__(self, "next_sentence", False)
            object.__setattr__(self, "mend_quirks", True)
        if self.dupe_factor is None:
            object.__setattr__(self, "dupe_factor", DUPE_FACTORS[self.masking])
        if self.short_seq_prob is None:
            is_filled = self.do_span_mask or self.full_sentences
            object.__setattr__(self, "short_seq_prob", 0.0 if is_filled else 0.1)
        parse_masking_mix(self.masking_mix)
        self._check_ngrams()
        self._check_spans()
        self._check_smoothing()
        if not any(self.input_file) or not self.vocab_file:
            raise ValueError(
                f"--input_file and --vocab_file are needed. Received: "
                f"{','.join(self.input_file)!r} and {self.vocab_file!r}"
            )
        if self.word_segmenter and not self.do_whole_word_mask:
            raise ValueError(
                f"--word_segmenter needs --do_whole_word_mask, as it changes nothing else. "
                f"Received: --word_segmenter={self.word_segmenter}"
            )
        self._check_output()

    @property
    def tokenizer_rules(self) -> tuple[bool, bool | None, str]:
        """What `load_tokenizer` takes beside the vocabulary."""
        model_type = "electra" if self.packing == "electra" else "bert"
        return self.do_lower_case, self.strip_accents, model_type

    def _check_packing(self) -> None:
        """Refuses settings of masks and pairs, which --packing=electra does not make."""
        may_be = {"dupe_factor": (None, 1), "next_sentence": (True, False)}
        fields = {field.name: field.default for field in dataclasses.fields(self)}
        for name in _OF_MASKS_AND_PAIRS:
            if getattr(self, name) not in may_be.get(name, (fields[name],)):
                raise ValueError(
                    f"--packing=electra makes neither masks nor labelled pairs, so that --{name} "
                    f"changes nothing. Leave it out. Received: --{name}={getattr(self, name)}"
                )

    def _check_full_sentences(self) -> None:
        others = {"do_span_mask": False, "ngram": 0, "packing": "bert", "word_segmenter": ""}
        for name, default in others.items():
            if getattr(self, name) != default:
                raise ValueError(
                    f"--full_sentences makes examples of its own, and cannot be combined with "
                    f"--{name}. Received: --{name}={getattr(self, name)}"
                )

    def _check_ngrams(self) -> None:
        if self.ngram and (self.masking != "static" or self.word_segmenter):
            raise ValueError(
                "--ngram masks words of the tokenizer when records are made, so it cannot be "
                f"combined with --masking=dynamic and --word_segmenter. Received: "
                f"--masking={self.masking}, --word_segmenter={self.word_segmenter}"
            )
        if self.sentence_order and not self.next_sentence:
            raise ValueError(
                "--sentence_order makes labelled pairs. Leave out --next_sentence=false."
            )

    def _check_spans(self) -> None:
        if self.do_span_mask and self.ngram:
            raise ValueError(
                "--do_span_mask and --ngram are two ways of masking. Give one of them."
            )
        if self.do_span_mask and self.next_sentence:
            raise ValueError(
                "--do_span_mask masks spans of a single segment: give --next_sentence=false too."
            )
        if self.do_span_mask:  # The words of a span are whole.
            object.__setattr__(self, "do_whole_word_mask", True)

    def _check_smoothing(self) -> None:
        if self.mask_smoothing and (self.masking != "dynamic" or self.do_whole_word_mask):
            raise ValueError(
                "--mask_smoothing draws single tokens by their number in all records, so it needs "
                "--masking=dynamic, and neither --do_whole_word_mask nor --do_span_mask. Received: "
                f"--masking={self.masking}, --do_whole_word_mask={self.do_whole_word_mask}"
            )

    def _check_output(self) -> None:
        output_file = ",".join(self.output_file)
        received = f"Received: --output_file={output_file!r}, --output_dir={self.output_dir!r}"
        if bool(output_file) == bool(self.output_dir):
            raise ValueError(f"Give either --output_file or --output_dir. {received}")
        places = set(map(resolve_path, self.output_file))
        if "" in self.output_file or len(places) < len(self.output_file):
            raise ValueError(
                f"--output_file names a file twice, or none between two commas. {received}"
            )
        if not self.output_dir and (self.num_shards > 1 or self.num_workers > 1):
            raise ValueError(
                f"--num_shards and --num_workers need --output_dir: the files of --output_file "
                f"share one random stream, as in the original. {received}"
            )


def parse_masking_mix(mix: str) -> tuple[float, float]:
    """Splits `--masking_mix`, such as "80,10,10".

    Returns: the fraction of masked tokens that become [MASK]; of the others, the fraction that
        stays as it is.

    Source: Devlin et al. 2019, appendix C.2, table 8.
    """
    try:
        mask, same, random = map(float, mix.split(","))
    except ValueError:
        mask = same = random = -1.0
    if min(mask, same, random) < 0 or mask + same + random != 100:
        raise ValueError(
            f"--masking_mix takes three percentages that add up to 100: of masked tokens that "
            f"become [MASK], stay, become a random token. Received: {mix!r}"
        )
    return mask / 100, same / (same + random) if mask < 100 else 0.0


def span_length_probabilities(geometric_p: float, max_words: int) -> list[float]:
    """Returns the probabilities of spans of 1, 2, ... words: geometric, cut off and renormalized.

    Source: Joshi et al. 2019, section 3.1.
    """
    weights = [geometric_p * (1 - geometric_p) ** number for number in range(max_words)]
    return [weight / sum(weights) for weight in weights]

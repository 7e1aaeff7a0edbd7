"""Lists what was published about google-research's BERTs: scores and SHA-256 sums.

The keys are names in `bert_tf.released.models`. Scores are percentages, or correlations times 100.
"""

from bert_tf.released.released_model import Score, scores

# Sources: the paper, arXiv 1810.04805v2; README and multilingual.md of google-research/bert. The
# paper's models are cased for CoNLL-2003; its other scores are listed as uncased, as in README.
_GLUE = (
    *("GLUE average", "MNLI-m/mm", "QQP F1", "QNLI", "SST-2", "CoLA Matthews"),
    *("STS-B Spearman", "MRPC F1", "RTE"),
)
_SMALL_GLUE = (
    *("GLUE score", "CoLA Matthews", "SST-2", "MRPC F1/accuracy", "STS-B Pearson/Spearman"),
    *("QQP F1/accuracy", "MNLI-m/mm", "QNLI", "RTE", "WNLI", "AX Matthews"),
)
_XNLI = tuple(
    f"XNLI test {language}"
    for language in ("English", "Chinese", "Spanish", "German", "Arabic", "Urdu")
)
_WHOLE_WORD_TASKS = ("SQuAD 1.1 dev F1/EM", "MNLI")

_PAPER_GLUE = "paper, table 1 (GLUE test)"
_WHOLE_WORDS = "README, May 31st, 2019"
_TRANSLATED = "multilingual.md, trained on translations"

_SMALL_SCORES = {
    "L-2_H-128_A-2": "64.2 0.0 83.2 81.1/71.1 74.3/73.6 62.2/83.4 70.2/70.3 81.5 57.2 62.3 21.0",
    "L-4_H-256_A-4": "65.8 0.0 85.9 81.1/71.8 75.4/73.3 66.4/86.2 74.8/74.3 84.1 57.9 62.3 26.1",
    "L-4_H-512_A-8": "71.2 27.8 89.7 83.4/76.2 78.8/77.0 68.1/87.0 77.6/77.0 86.4 61.8 62.3 28.6",
    "L-8_H-512_A-8": "73.5 38.0 89.6 86.6/81.6 80.4/78.4 69.6/87.9 80.0/79.1 87.7 62.2 62.3 30.5",
}

SCORES = {
    "bert_base_uncased": (
        *scores(_PAPER_GLUE, _GLUE, "79.6 84.6/83.4 71.2 90.5 93.5 52.1 85.8 88.9 66.4"),
        Score("SQuAD 1.1 dev EM/F1", "80.8/88.5", "paper, table 2"),
        Score("SQuAD 1.1 dev EM/F1", "81.2/88.4", "README, its example"),
        Score("SWAG dev", "81.6", "paper, table 4"),
        Score("MRPC dev", "84.6", "README, its example; 84 to 88"),
    ),
    "bert_large_uncased": (
        *scores(_PAPER_GLUE, _GLUE, "82.1 86.7/85.9 72.1 92.7 94.9 60.5 86.5 89.3 70.1"),
        Score("SQuAD 1.1 dev EM/F1", "84.1/90.9", "paper, table 2"),
        Score("SQuAD 1.1 dev EM/F1", "84.4/90.9", "README, its example"),
        Score("SQuAD 2.0 dev EM/F1", "78.7/81.9", "paper, table 3"),
        Score("SWAG dev", "86.6", "paper, table 4"),
        Score("SWAG test", "86.3", "paper, table 4"),
        *scores(_WHOLE_WORDS, _WHOLE_WORD_TASKS, "91.0/84.3 86.05"),
    ),
    "bert_base_cased": (
        Score("CoNLL-2003 dev F1", "96.4", "paper, table 7"),
        Score("CoNLL-2003 test F1", "92.4", "paper, table 7"),
    ),
    "bert_large_cased": (
        Score("CoNLL-2003 dev F1", "96.6", "paper, table 7"),
        Score("CoNLL-2003 test F1", "92.8", "paper, table 7"),
        *scores(_WHOLE_WORDS, _WHOLE_WORD_TASKS, "91.5/84.8 86.09"),
    ),
    "bert_large_uncased_wwm": scores(_WHOLE_WORDS, _WHOLE_WORD_TASKS, "92.8/86.7 87.07"),
    "bert_large_cased_wwm": scores(_WHOLE_WORDS, _WHOLE_WORD_TASKS, "92.9/86.7 86.46"),
    "bert_base_multilingual_cased": scores(_TRANSLATED, _XNLI, "81.9 76.6 77.8 75.9 70.7 61.6"),
    "bert_base_multilingual_uncased": scores(_TRANSLATED, _XNLI, "81.4 74.2 77.3 75.2 70.5 61.7"),
    "bert_base_chinese": (Score("XNLI test Chinese", "77.2", "multilingual.md"),),
    **{
        f"bert_uncased_{shape}": scores("README, March 11th, 2020 (GLUE test)", _SMALL_GLUE, values)
        for shape, values in _SMALL_SCORES.items()
    },
}

# In the order of the sums below.
_SUMMED_FILES = (
    *("bert_config.json", "bert_model.ckpt.data-00000-of-00001", "bert_model.ckpt.index"),
    *("bert_model.ckpt.meta", "vocab.txt"),
)


def _sums(*sums: str) -> dict[str, str]:
    return dict(zip(_SUMMED_FILES, sums, strict=True))


# SHA-256 sums of the files in the zips; the other models have none. Source, Apache-2.0:
# NVIDIA/DeepLearningExamples, data/GooglePretrainedWeightDownloader.py in the BERT folders, where
# `bert_large_multilingual_uncased` is the Base-sized model.
SHA256 = {
    "bert_base_uncased": _sums(
        "7b4e5f53efbd058c67cda0aacfafb340113ea1b5797d9ce6ee411704ba21fcbc",
        "58580dc5e0bf0ae0d2efd51d0e8272b2f808857f0a43a88aaf7549da6d7a8a84",
        "04c1323086e2f1c5b7c0759d8d3e484afbb0ab45f51793daab9f647113a0117b",
        "dd5682170a10c3ea0280c2e9b9a45fee894eb62da649bbdea37b38b0ded5f60e",
        "07eced375cec144d27c900241f3e339478dec958f92fddbc551f295c992038a3",
    ),
    "bert_large_uncased": _sums(
        "bfa42236d269e2aeb3a6d30412a33d15dbe8ea597e2b01dc9518c63cc6efafcb",
        "bc6b3363e3be458c99ecf64b7f472d2b7c67534fd8f564c0556a678f90f4eea1",
        "68b52f2205ffc64dc627d1120cf399c1ef1cbc35ea5021d1afc889ffe2ce2093",
        "6fcce8ff7628f229a885a593625e3d5ff9687542d5ef128d9beb1b0c05edc4a1",
        "07eced375cec144d27c900241f3e339478dec958f92fddbc551f295c992038a3",
    ),
    "bert_base_cased": _sums(
        "f11dfb757bea16339a33e1bf327b0aade6e57fd9c29dc6b84f7ddb20682f48bc",
        "734d5a1b68bf98d4e9cb6b6692725d00842a1937af73902e51776905d8f760ea",
        "517d6ef5c41fc2ca1f595276d6fccf5521810d57f5a74e32616151557790f7b1",
        "5f8a9771ff25dadd61582abb4e3a748215a10a6b55947cbb66d0f0ba1694be98",
        "eeaa9875b23b04b4c54ef759d03db9d1ba1554838f8fb26c5d96fa551df93d02",
    ),
    "bert_large_cased": _sums(
        "7adb2125c8225da495656c982fd1c5f64ba8f20ad020838571a3f8a954c2df57",
        "6ff33640f40d472f7a16af0c17b1179ca9dcc0373155fb05335b6a4dd1657ef0",
        "ef42a53f577fbe07381f4161b13c7cab4f4fc3b167cec6a9ae382c53d18049cf",
        "d2ddff3ed33b80091eac95171e94149736ea74eb645e575d942ec4a5e01a40a1",
        "eeaa9875b23b04b4c54ef759d03db9d1ba1554838f8fb26c5d96fa551df93d02",
    ),
    "bert_base_multilingual_cased": _sums(
        "e76c3964bc14a8bb37a5530cdc802699d2f4a6fddfab0611e153aa2528f234f0",
        "55b8a2df41f69c60c5180e50a7c31b7cdf6238909390c4ddf05fbc0d37aa1ac5",
        "7d8509c2a62b4e300feb55f8e5f1eef41638f4998dd4d887736f42d4f6a34b37",
        "95e5f1997e8831f1c31e5cf530f1a2e99f121e9cd20887f2dce6fe9e3343e3fa",
        "fe0fda7c425b48c516fc8f160d594c8022a0808447475c1a7c6d6479763f310c",
    ),
    "bert_base_multilingual_uncased": _sums(
        "49063bb061390211d2fdd108cada1ed86faa5f90b80c8f6fdddf406afa4c4624",
        "3cd83912ebeb0efe2abf35c9f1d5a515d8e80295e61c49b75c8853f756658429",
        "87c372c1a3b1dc7effaaa9103c80a81b3cbab04c7933ced224eec3b8ad2cc8e7",
        "27f504f34f02acaa6b0f60d65195ec3e3f9505ac14601c6a32b421d0c8413a29",
        "87b44292b452f6c05afa49b2e488e7eedf79ea4f4c39db6f2f4b37764228ef3f",
    ),
    "bert_base_chinese": _sums(
        "7aaad0335058e2640bcb2c2e9a932b1cd9da200c46ea7b8957d54431f201c015",
        "756699356b78ad0ef1ca9ba6528297bcb3dd1aef5feadd31f4775d7c7fc989ba",
        "46315546e05ce62327b3e2cd1bed22836adcb2ff29735ec87721396edb21b82e",
        "c0f8d51e1ab986604bc2b25d6ec0af7fd21ff94cf67081996ec3f3bf5d823047",
        "45bbac6b341c319adc98a532532882e91a9cefc0329aa57bac9ae761c27b291c",
    ),
}

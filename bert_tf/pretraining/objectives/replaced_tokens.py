"""Replaced token detection, ELECTRA's objective: which tokens has a small masked LM put in?

    loss = generator_weight * masked_lm_loss + discriminator_weight * disc_loss

The generator's loss is over the masked tokens, the discriminator's over all real tokens. Tokens
are masked anew in every epoch, whatever masks the records have: these are undone first.

Source: google-research/electra, run_pretraining.py, `PretrainingModel`; Clark et al. 2020.
"""

import dataclasses
import functools
from collections.abc import Callable

import tensorflow as tf

from bert_tf.config import check_range
from bert_tf.data.sampled_masking import SampledMasking
from bert_tf.model.replaced_tokens import ReplacedTokensModel
from bert_tf.pretraining.model_folder import vocabulary_ids
from bert_tf.pretraining.objective import Batch, PretrainingObjective, Totals
from bert_tf.pretraining.objectives import masked_lm
from bert_tf.pretraining.objectives.left_to_right import restore
from bert_tf.settings import PretrainingSettings
from bert_tf.settings.options import parse_options, split_options

_EPSILON = 1e-6  # The original's, for a batch without tokens.
# The minimized terms, and the discriminator's loss before it is weighted.
_GENERATOR, _WEIGHTED, _DISCRIMINATOR = "masked_lm_loss", "weighted_disc_loss", "disc_loss"


@dataclasses.dataclass(frozen=True)
class Options:
    """Options of `--objective=replaced_tokens`; the defaults are those of ELECTRA's base."""

    mask_prob: float = 0.15  # 0.25 in ELECTRA-Large.
    generator_weight: float = 1.0
    discriminator_weight: float = 50.0
    temperature: float = 1.0  # Divides the generator's logits before tokens are drawn.
    disallow_correct: bool = False  # Whether the generator never draws the masked token itself.

    def __post_init__(self) -> None:
        check_range("mask_prob", self.mask_prob, "(0, 1]")
        for name in ("generator_weight", "discriminator_weight"):
            check_range(name, getattr(self, name), "[0, inf)")
        check_range("temperature", self.temperature, "(0, inf)")


MASKED_LM = dataclasses.replace(masked_lm.MASKED_LM, epsilon=_EPSILON)


@dataclasses.dataclass(frozen=True)
class ReplacedTokens(PretrainingObjective):
    """The objective: its labels are among the model's outputs, as they depend on what is drawn."""

    options: Options = Options()
    measured: tuple[str, ...] = (_DISCRIMINATOR,)

    @property
    def epsilons(self) -> dict[str, float]:
        """The number that is added to the weight of each loss term."""
        return dict.fromkeys((_GENERATOR, _WEIGHTED, _DISCRIMINATOR), _EPSILON)

    def weights(self, batch: Batch) -> dict[str, tf.Tensor]:
        """Returns the number of masked tokens, and that of real ones."""
        num_masked = tf.reduce_sum(batch["masked_lm_weights"])
        num_tokens = tf.cast(tf.reduce_sum(batch["input_mask"]), tf.float32)
        return {_GENERATOR: num_masked, _WEIGHTED: num_tokens, _DISCRIMINATOR: num_tokens}

    def sums(self, batch: Batch, outputs) -> dict[str, tf.Tensor]:
        """Returns each loss term, summed over its labels."""
        losses = tf.nn.sigmoid_cross_entropy_with_logits(
            outputs["is_replaced"], outputs["replaced_logits"]
        )
        of_tokens = tf.reduce_sum(losses * tf.cast(batch["input_mask"], tf.float32))
        return {
            _GENERATOR: self.options.generator_weight * MASKED_LM.loss(batch, outputs),
            _WEIGHTED: self.options.discriminator_weight * of_tokens,
            _DISCRIMINATOR: of_tokens,
        }

    def metrics(self, batch: Batch, outputs, all_reduce: Callable) -> Totals:
        """Returns the metrics of an evaluation batch, each as (sum, weight) over all replicas.

        The weight of `loss` is the number of tokens. Precision and recall are those of finding
        replaced tokens, with the threshold 1/2.

        Source: google-research/electra, run_pretraining.py, `metric_fn`.
        """
        is_token = tf.cast(batch["input_mask"], tf.float32)
        found = tf.cast(outputs["replaced_logits"] > 0.0, tf.float32) * is_token
        replaced = outputs["is_replaced"] * is_token
        is_right = tf.cast(found == replaced, tf.float32) * is_token
        is_correct = outputs["is_correct"] * batch["masked_lm_weights"]
        sums, weights, counts = all_reduce(
            (
                self.sums(batch, outputs),
                self.weights(batch),
                {
                    "masked_lm": MASKED_LM.num_correct(batch, outputs),
                    "sampled": tf.reduce_sum(is_correct),
                    "right": tf.reduce_sum(is_right),
                    "found": tf.reduce_sum(found),
                    "replaced": tf.reduce_sum(replaced),
                    "both": tf.reduce_sum(found * replaced),
                },
            )
        )
        num_masked, num_tokens = weights[_GENERATOR], weights[_DISCRIMINATOR]
        loss = sum(sums[name] / (weights[name] + _EPSILON) for name in (_GENERATOR, _WEIGHTED))
        generator_loss = tf.math.divide_no_nan(sums[_GENERATOR], self.options.generator_weight)
        return {
            "loss": (loss * num_tokens, num_tokens),
            "masked_lm_loss": (generator_loss, num_masked),
            "masked_lm_accuracy": (counts["masked_lm"], num_masked),
            "sampled_masked_lm_accuracy": (counts["sampled"], num_masked),
            "disc_loss": (sums[_DISCRIMINATOR], num_tokens),
            "disc_accuracy": (counts["right"], num_tokens),
            "disc_precision": (counts["both"], counts["found"]),
            "disc_recall": (counts["both"], counts["replaced"]),
        }


def make(settings: PretrainingSettings) -> ReplacedTokens:
    """Returns the objective with the options of a run, and the vocabulary of its records.

    Raises a ValueError for unknown options, or if nothing tells the vocabulary.
    """
    given = split_options(",".join(settings.objective_options), "Objective")
    options = parse_options(Options, given, "Objective")
    vocabulary = vocabulary_ids(settings)
    mask_id, *others = (vocabulary[token] for token in ("[MASK]", "[CLS]", "[SEP]"))
    masking = SampledMasking(options.mask_prob, mask_id, (mask_id, *others))
    return ReplacedTokens(
        make_model=functools.partial(
            ReplacedTokensModel,
            temperature=options.temperature,
            disallow_correct=options.disallow_correct,
        ),
        predictions=(MASKED_LM,),
        masks_tokens=False,
        randomize=lambda batch, random_bits: masking(restore(batch), random_bits),
        options=options,
    )

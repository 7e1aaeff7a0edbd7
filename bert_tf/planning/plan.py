"""The plan: from settings to hours, gigabytes and records.

    plan = make_plan(PlanningSettings(hardware="a100", num_chips=8, mixed_precision="bfloat16"))
    plan.days
    plan.phases[0].examples_per_second

A step takes as long as its products and its optimizer:

    seconds = b (W + 4.6 A) / (efficiency x peak) + 40 P / bandwidth

with b examples a replica, W and A their FLOPs in products with weights and inside of attention, P
parameters. Attention's products are small, and softmax, its mask and dropout lie between them, so
they count for more than their FLOPs.
"""

import dataclasses
import math

from bert_tf.config import BertConfig
from bert_tf.planning.costs import Products, count_pretraining_parameters, count_products
from bert_tf.planning.hardware import HARDWARE, Hardware, Rate, find_hardware
from bert_tf.planning.memory import Memory, MemoryModel
from bert_tf.planning.records import Examples, estimate_examples
from bert_tf.released.models import find_released_model
from bert_tf.settings import DUPE_FACTORS, PlanningSettings
from bert_tf.settings.phases import parse_phases

# Between NVIDIA's 206.5 examples/s at 128 and 40.95 at 512 tokens, BERT-Large, one V100, float16.
ATTENTION_WEIGHT = 4.6
# Reads and writes of each parameter: the gradient for its norm; then the gradient, the weight and
# both averages read, and the latter three written; the gradient written, the sum of replicas read
# and written.
OPTIMIZER_BYTES = 10 * 4


@dataclasses.dataclass(frozen=True)
class PhasePlan:
    """What a phase takes.

    max_seq_length, steps, batch_size: as given; the batch is that of all replicas.
    max_predictions: hidden tokens of an example at most.
    products: FLOPs of an example.
    batch_per_replica: examples that a replica has in a step.
    accumulation_steps: in how many parts it computes them.
    largest_batch: examples at a time that its memory would hold.
    memory: with these parts.
    seconds_per_step, examples_per_second, hours: of all devices.
    examples: the records.
    tokens: word pieces seen, padding left out.
    passes: how often each record is seen.
    """

    max_seq_length: int
    steps: int
    batch_size: int
    max_predictions: int
    products: Products
    batch_per_replica: int
    accumulation_steps: int
    largest_batch: int
    memory: Memory
    seconds_per_step: float
    examples_per_second: float
    hours: float
    examples: Examples
    tokens: float
    passes: float


@dataclasses.dataclass(frozen=True)
class Plan:
    """What a pre-training takes.

    settings: what was asked for.
    config: the model's shape.
    hardware, rate: what it runs on.
    num_replicas: how many devices TensorFlow sees.
    device_memory: bytes that a replica may use.
    parameters: of the model with its heads.
    phases: one after the other.
    """

    settings: PlanningSettings
    config: BertConfig
    hardware: Hardware
    rate: Rate
    num_replicas: int
    device_memory: float
    parameters: int
    phases: tuple[PhasePlan, ...]

    @property
    def days(self) -> float:
        """Of computing, without evaluations, checkpoints and interruptions."""
        return sum(phase.hours for phase in self.phases) / 24

    @property
    def flops(self) -> float:
        """Of all matrix products."""
        return sum(p.steps * p.batch_size * p.products.total for p in self.phases)

    @property
    def epochs(self) -> float:
        """How many times the tokens that are seen are those of the corpus."""
        tokens = self.settings.corpus_words * self.settings.tokens_per_word
        return sum(phase.tokens for phase in self.phases) / tokens


def make_plan(settings: PlanningSettings) -> Plan:
    """Plans a pre-training.

    Raises:
        ValueError: for an unknown model or hardware; for phases, lengths and batches that cannot
            be; and if the memory holds not even one example, with what would do.
    """
    config = _find_config(settings)
    hardware = find_hardware(settings.hardware, settings.peak_flops or None)
    rate = hardware.rate(settings.mixed_precision)
    if settings.efficiency:
        source = "as given by --efficiency"
        rate = dataclasses.replace(rate, efficiency=settings.efficiency, source=source)
    num_replicas = settings.num_chips * hardware.devices_per_chip
    plan = Plan(
        *(settings, config, hardware, rate, num_replicas),
        device_memory=usable_memory(hardware, settings.memory_margin),
        parameters=count_pretraining_parameters(config),
        phases=(),
    )
    phases = []
    for own, *phase in _parse_phases(settings, config):
        _check_batch_size(own, num_replicas, hardware)
        phases.append(_plan_phase(dataclasses.replace(plan, settings=own), *phase))
    return dataclasses.replace(plan, phases=tuple(phases))


def _check_batch_size(settings: PlanningSettings, num_replicas: int, hardware: Hardware) -> None:
    if settings.train_batch_size % num_replicas:
        above = math.ceil(settings.train_batch_size / num_replicas) * num_replicas
        raise ValueError(
            f"--train_batch_size must be a multiple of the number of replicas, {num_replicas} "
            f"({settings.num_chips} chips of {hardware.name}, {hardware.devices_per_chip} each). "
            f"Received: {settings.train_batch_size}; {above} would do."
        )


def usable_memory(hardware: Hardware, margin: float) -> float:
    """Bytes that a replica may use."""
    return (1.0 - margin) * hardware.memory_bytes / hardware.devices_per_chip


def step_seconds(
    products: Products, num_examples: float, parameters: int, hardware: Hardware, rate: Rate
) -> float:
    """How long a replica takes for a step over its examples.

    Args:
        products: of an example.
        num_examples: the replica's part of the batch.
        parameters: of the model.
        hardware: whose chip it shares with `devices_per_chip` - 1 others.
        rate: of its matrix products.
    """
    share = 1.0 / hardware.devices_per_chip
    weighted = products.weights + ATTENTION_WEIGHT * products.attention
    computing = num_examples * weighted / (rate.efficiency * rate.peak * share)
    return computing + OPTIMIZER_BYTES * parameters / (hardware.bandwidth * share)


def _find_config(settings: PlanningSettings) -> BertConfig:
    if settings.bert_config_file:
        return BertConfig.from_json_file(settings.bert_config_file)
    return find_released_model(settings.model).config


def _parse_phases(
    settings: PlanningSettings, config: BertConfig
) -> list[tuple[PlanningSettings, int, int, int]]:
    """`seq128:900000` -> (settings, 128, 20, 900000): tokens, the most masked tokens, steps.

    A file of phases may give a phase a batch size and gradient accumulation of its own.
    """
    text = ",".join(settings.phases)
    with_settings = []
    for phase in parse_phases(text, needs_files=False):
        length = phase.max_seq_length
        if not 5 <= length <= config.max_position_embeddings:
            raise ValueError(
                f"--phases: lengths are from 5 to the model's max_position_embeddings, "
                f"{config.max_position_embeddings}. Received: {length} in {text!r}"
            )
        predictions = phase.max_predictions_per_seq or math.ceil(settings.masked_lm_prob * length)
        own = phase.own_values("train_batch_size", "gradient_accumulation_steps")
        own_settings = dataclasses.replace(settings, **own)
        with_settings.append((own_settings, length, predictions, phase.num_steps))
    return with_settings


def _plan_phase(plan: Plan, max_seq_length: int, max_predictions: int, steps: int) -> PhasePlan:
    settings = plan.settings
    recomputes = settings.recompute_activations
    products = count_products(plan.config, max_seq_length, max_predictions, recomputes)
    model = MemoryModel(
        *(plan.config, max_seq_length, max_predictions),
        is_half=bool(settings.mixed_precision),
        recomputes=recomputes,
        is_compiled=settings.xla or plan.hardware.always_compiles,
    )
    batch = settings.train_batch_size // plan.num_replicas
    parts = _count_parts(plan, model, batch)
    seconds = step_seconds(products, batch, plan.parameters, plan.hardware, plan.rate)
    if plan.num_replicas > 1:
        seconds /= settings.scaling_efficiency
    examples = estimate_examples(
        settings.corpus_words * settings.tokens_per_word,
        settings.tokens_per_document,
        max_seq_length,
        max_predictions,
        settings.masked_lm_prob,
        settings.dupe_factor or DUPE_FACTORS[settings.masking],
        settings.masking == "dynamic",
        plan.config.vocab_size,
    )
    num_seen = steps * settings.train_batch_size
    return PhasePlan(
        *(max_seq_length, steps, settings.train_batch_size),
        *(max_predictions, products, batch, parts),
        largest_batch=model.largest_batch(plan.device_memory, parts > 1),
        memory=model.of_batch(batch // parts, parts > 1),
        seconds_per_step=seconds,
        examples_per_second=settings.train_batch_size / seconds,
        hours=steps * seconds / 3600,
        examples=examples,
        tokens=num_seen * examples.mean_tokens,
        passes=num_seen / examples.number,
    )


def _count_parts(plan: Plan, model: MemoryModel, batch: int) -> int:
    """In how many parts a replica computes its batch: as given, or as few as fit."""
    given = plan.settings.gradient_accumulation_steps
    if given and batch % given:
        raise ValueError(
            f"--gradient_accumulation_steps must divide the {batch} examples of a replica "
            f"(--train_batch_size {plan.settings.train_batch_size} on {plan.num_replicas} "
            f"replicas). Received: {given}"
        )
    fitting = (
        parts
        for parts in range(1, batch + 1)
        if batch % parts == 0
        and model.of_batch(batch // parts, parts > 1).total <= plan.device_memory
    )
    fewest = next(fitting, None)
    if fewest is None:
        raise ValueError(_explain(plan, model))
    if given and model.of_batch(batch // given, given > 1).total > plan.device_memory:
        raise ValueError(
            f"A replica's {batch} examples of {model.max_seq_length} tokens in {given} parts do "
            f"not fit into its {plan.device_memory / 1e9:.1f} GB. "
            f"--gradient_accumulation_steps={fewest} would do."
        )
    return given or fewest


def _explain(plan: Plan, model: MemoryModel) -> str:
    """Why not even one example fits, and what would do."""
    accumulates = plan.settings.train_batch_size > plan.num_replicas
    tries = [
        ("--xla", {"is_compiled": True}),
        ("--recompute_activations", {"recomputes": True}),
        ("--xla --recompute_activations", {"recomputes": True, "is_compiled": True}),
    ]
    half = next((precision for precision in plan.hardware.rates if precision), None)
    if half is not None:
        flag = f"--mixed_precision={half}"
        tries.append((flag, {"is_half": True}))
        tries.append((f"--recompute_activations {flag}", {"recomputes": True, "is_half": True}))
    remedies, tried = [], {model}
    for flags, changes in tries:
        changed = dataclasses.replace(model, **changes)
        if changed not in tried and changed.largest_batch(plan.device_memory, accumulates):
            remedies.append(flags)
        tried.add(changed)
    needed, idle = model.of_batch(1, accumulates).total, model.of_batch(0, accumulates).total
    larger = [
        hardware.name
        for hardware in HARDWARE
        if usable_memory(hardware, plan.settings.memory_margin) >= needed
    ]
    if larger:
        remedies.append(f"--hardware={'|'.join(larger)}")
    would_do = "; or ".join(remedies) or "a smaller model or a shorter length"
    return (
        f"One example of {model.max_seq_length} tokens takes {needed / 1e9:.1f} GB, of which "
        f"{idle / 1e9:.1f} GB for weights, gradients and optimizer; a "
        f"replica on {plan.hardware.name} has {plan.device_memory / 1e9:.1f} GB. Would do: "
        f"{would_do}."
    )

"""Plans a pre-training run: computes hours, gigabytes and records from settings.

    plan = make_plan(PlanningSettings(hardware="a100", num_chips=8, mixed_precision="bfloat16"))
    plan.days
    plan.phases[0].examples_per_second

The time of a step is that of its matrix products plus that of the optimizer:

    seconds = b (W + 4.6 A) / (efficiency x peak) + 40 P / bandwidth

where b is the number of examples per replica, W and A are their FLOPs in products with weights and
in attention, and P is the number of parameters. Attention's FLOPs weigh more because its products
are small, and softmax, mask and dropout come between them.
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
# Bytes read and written per parameter: the gradient is written, summed over replicas (read and
# written), and read for its norm; then gradient, weight and both moments are read, and the latter
# three written.
OPTIMIZER_BYTES = 10 * 4


@dataclasses.dataclass(frozen=True)
class PhasePlan:
    """The estimates for one phase.

    max_seq_length, steps, batch_size: as given; the batch size is global.
    max_predictions: the most masked tokens per example.
    products: FLOPs per example.
    batch_per_replica: examples per replica and step.
    accumulation_steps: the number of micro-batches per step.
    largest_batch: the largest micro-batch that fits into a replica's memory.
    memory: of a replica, with these micro-batches.
    seconds_per_step, examples_per_second, hours: with all devices.
    examples: the records.
    tokens: word pieces seen, without padding.
    passes: how often the run reads each record.
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
    """The estimates for a pre-training run.

    settings: the run.
    config: the model's shape.
    hardware, rate: what it runs on.
    num_replicas: the number of devices that TensorFlow sees.
    device_memory: bytes that a replica may use.
    parameters: of the model, including its heads.
    phases: in the order in which they run.
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
        """Training time, without evaluations, checkpoints and interruptions."""
        return sum(phase.hours for phase in self.phases) / 24

    @property
    def flops(self) -> float:
        """FLOPs of all matrix products of the run."""
        return sum(p.steps * p.batch_size * p.products.total for p in self.phases)

    @property
    def epochs(self) -> float:
        """Tokens seen, divided by the tokens of the corpus."""
        tokens = self.settings.corpus_words * self.settings.tokens_per_word
        return sum(phase.tokens for phase in self.phases) / tokens


def make_plan(settings: PlanningSettings) -> Plan:
    """Plans a pre-training run.

    Raises:
        ValueError: if the model or hardware is unknown; if phases, lengths or batch sizes are
            impossible; or if not even one example fits into memory (the error names remedies).
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
    """Returns the bytes of memory that a replica may use."""
    return (1.0 - margin) * hardware.memory_bytes / hardware.devices_per_chip


def step_seconds(
    products: Products, num_examples: float, parameters: int, hardware: Hardware, rate: Rate
) -> float:
    """Returns the seconds that a replica takes for a step.

    Args:
        products: FLOPs per example.
        num_examples: examples per replica and step.
        parameters: of the model.
        hardware: the chip, which `devices_per_chip` replicas share.
        rate: the speed of its matrix products.
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
    """`seq128:900000` -> (settings, 128, 20, 900000): length, most masked tokens, steps.

    A JSON file of phases may set the batch size and gradient accumulation of a phase.
    """
    text = ",".join(settings.phases)
    with_settings = []
    for phase in parse_phases(text, needs_files=False):
        length = phase.max_seq_length
        if not 5 <= length <= config.max_position_embeddings:
            raise ValueError(
                f"--phases: a length must be from 5 to the model's max_position_embeddings, "
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
    """Returns the number of micro-batches per step: as given, or the fewest that fit."""
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
            f"A replica's {batch} examples of {model.max_seq_length} tokens do not fit into its "
            f"{plan.device_memory / 1e9:.1f} GB in {given} micro-batches. "
            f"--gradient_accumulation_steps={fewest} would do."
        )
    return given or fewest


def _explain(plan: Plan, model: MemoryModel) -> str:
    """Returns an error message: why not even one example fits, and which flags would help."""
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
        f"One example of {model.max_seq_length} tokens needs {needed / 1e9:.1f} GB, of which "
        f"{idle / 1e9:.1f} GB are for weights, gradients and optimizer; a "
        f"replica on {plan.hardware.name} has {plan.device_memory / 1e9:.1f} GB. Would do: "
        f"{would_do}."
    )

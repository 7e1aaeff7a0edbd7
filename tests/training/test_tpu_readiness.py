"""What a TPU needs, as far as it can be known without one: the compiled step, and remote files."""

import io
import json
import re

import numpy as np
import pytest
import tensorflow as tf
from small_finetuning import small_finetuning
from tensorflow.python.framework import kernels

import bert_tf
from bert_tf.data import schema
from bert_tf.data.record_set import RecordUse, open_record_set
from bert_tf.finetuning.feature_records import FeatureRecords
from bert_tf.finetuning.objective import TaskObjective
from bert_tf.finetuning.program import run_finetuning
from bert_tf.pretraining.objectives.masked_lm_next_sentence import OBJECTIVE
from bert_tf.pretraining.run import run_pretraining
from bert_tf.settings import PretrainingSettings
from bert_tf.tasks.task import find_task
from bert_tf.training.checkpoint import load_checkpoint
from bert_tf.training.optimizer import AdamWeightDecay
from bert_tf.training.run import precision
from bert_tf.training.schedule import WarmupAndDecay
from bert_tf.training.trainer import Trainer

LENGTH, ROWS = 72, 8
CONFIG = bert_tf.BertConfig(
    vocab_size=60,
    hidden_size=16,
    num_hidden_layers=1,
    num_attention_heads=2,
    intermediate_size=32,
    max_position_embeddings=LENGTH,
    type_vocab_size=2,
)
# What would call back into Python, make state, or give a tensor whose size its values decide.
FORBIDDEN = re.compile("PyFunc|VarHandle|VariableV2|Print|Summary|Iterator|Unique|^Where$")


def pretraining():
    features = schema.pretraining_features(LENGTH, 5)
    return OBJECTIVE, bert_tf.PretrainingModel(bert_tf.BertEncoder(CONFIG)), features


def of_task(name: str, **options):
    task = find_task(name, options, None)
    return (
        TaskObjective(task),
        task.head(bert_tf.BertEncoder(CONFIG)),
        task.features("train", LENGTH),
    )


PROGRAMS = {
    "pretraining": pretraining,
    "classifier": lambda: of_task("glue:mrpc", data_dir="."),
    "squad": lambda: of_task("squad", train_file="train-v1.1.json"),
}


def make_trainer(objective, model, optimizer: str = "adam", **settings) -> Trainer:
    weights = bert_tf.training.checkpoint.named_variables(model)
    schedule = WarmupAndDecay(1e-3, 10, 2)
    return Trainer(
        model,
        objective,
        AdamWeightDecay(weights, schedule, lamb=optimizer == "lamb"),
        1,
        **{"jit_compile": True, **settings},
    )


def make_batch(features) -> dict[str, tf.Tensor]:
    """A batch as it is fed: numbers are <int32> or <float32>, every shape is known."""
    batch = {
        name: tf.ones([ROWS, *f.shape], tf.float32 if f.dtype == "float32" else tf.int32)
        for name, f in features.items()
    }
    return {**batch, "is_real_example": tf.ones([ROWS])}


def write_features(path, features) -> FeatureRecords:
    """A file of features of a task."""
    with tf.io.TFRecordWriter(str(path)) as writer:
        for _ in range(3 * ROWS):
            arrays = {name: np.ones(f.shape or (1,), f.dtype) for name, f in features.items()}
            writer.write(schema.encode_example(arrays))
    return FeatureRecords(str(path), features, LENGTH)


def ops_of(concrete_function) -> set[str]:
    """The kinds of all operations of a graph and of the functions that it calls."""
    graph = concrete_function.graph.as_graph_def()
    functions = {function.signature.name for function in graph.library.function}
    nodes = [*graph.node, *(n for function in graph.library.function for n in function.node_def)]
    return {node.op for node in nodes} - functions - {"Placeholder"}


def ops_of_xla() -> set[str]:
    """The operations that XLA has kernels for; known only after something was compiled."""
    tf.function(lambda x: x + 1.0, jit_compile=True)(1.0)
    listed = kernels.get_all_registered_kernels().kernel
    return {kernel.op for kernel in listed if kernel.device_type == "XLA_CPU_JIT"}


def dynamic_shapes(function, *arguments) -> list[str]:
    """The lines of the compiled program with a dimension that is only bounded, as `f32[<=8]`."""
    hlo = function.experimental_get_compiler_ir(*arguments)(stage="hlo")
    assert hlo.startswith("HloModule")
    return [line for line in hlo.splitlines() if "<=" in line]


@pytest.mark.parametrize("program", PROGRAMS)
@pytest.mark.parametrize(
    ("parts", "half", "recomputes"), [(1, "", False), (2, "bfloat16", True)], ids=str
)
def test_the_whole_step_compiles_with_static_shapes_and_ops_that_xla_has(
    program, parts, half, recomputes
):
    with precision(half):
        objective, model, features = PROGRAMS[program]()
    model.encoder.recompute_activations = recomputes
    trainer = make_trainer(objective, model, accumulation_steps=parts)
    batch = make_batch(features)
    assert dynamic_shapes(trainer._step, batch) == []
    ops = ops_of(trainer._step.get_concrete_function(batch))
    assert {"AssignVariableOp", "MatMul", "ReadVariableOp"} <= ops  # The optimizer is among them.
    assert ops <= ops_of_xla()
    assert not [op for op in ops if FORBIDDEN.search(op)]


def test_the_step_with_lamb_compiles_too():
    objective, model, features = pretraining()
    trainer = make_trainer(objective, model, "lamb")
    assert dynamic_shapes(trainer._step, make_batch(features)) == []
    assert ops_of(trainer._step.get_concrete_function(make_batch(features))) <= ops_of_xla()


def test_these_checks_would_notice_what_a_tpu_cannot_do():
    @tf.function(jit_compile=True)
    def chosen(x):
        return tf.reduce_sum(tf.boolean_mask(x, x > 0.0))

    @tf.function
    def unique(x):
        return tf.unique(tf.strings.as_string(x)).y

    assert dynamic_shapes(chosen, tf.ones([8]))
    ops = ops_of(unique.get_concrete_function(tf.ones([8])))
    assert "AsString" in ops - ops_of_xla()
    assert any(FORBIDDEN.search(op) for op in ops)


def trace(trainer, batch) -> tuple:
    """The step's operations and constants, traced anew; a variable that it makes is refused."""

    def refuse(next_creator, **arguments):
        raise AssertionError(f"The step makes the variable {arguments.get('name')}.")

    step = tf.function(trainer._replica_step)
    with tf.variable_creator_scope(refuse):
        graph = step.get_concrete_function(batch).graph.as_graph_def()

    def known(nodes):
        return sorted((n.op, n.name, n.attr["value"].SerializeToString()) for n in nodes)

    return known(graph.node), sorted(known(f.node_def) for f in graph.library.function)


def python_state(*objects) -> list[dict]:
    """What objects hold in Python, as it is now."""
    return [{name: repr(value) for name, value in vars(each).items()} for each in objects]


@pytest.mark.parametrize("program", PROGRAMS)
def test_tracing_the_step_makes_no_variable_and_leaves_nothing_in_python(program, capfd):
    objective, model, features = PROGRAMS[program]()
    trainer, batch = make_trainer(objective, model), make_batch(features)
    before = {name: value.numpy() for name, value in trainer.state().items()}
    in_python = python_state(trainer, objective)
    assert trace(trainer, batch) == trace(trainer, batch)
    assert python_state(trainer, objective) == in_python
    assert capfd.readouterr().out == ""
    for name, value in trainer.state().items():
        np.testing.assert_array_equal(value, before[name], err_msg=name)


def test_these_checks_would_notice_what_tracing_leaves_behind():
    class Careless:
        calls = 0

        def __init__(self):
            self._replica_step = self.step

        def step(self, x):
            self.calls += 1
            return x * float(self.calls)

    class Making(Careless):
        def step(self, x):
            return x * tf.Variable(2.0)

    careless = Careless()
    before = python_state(careless)
    assert trace(careless, tf.ones([2])) != trace(careless, tf.ones([2]))
    assert python_state(careless) != before
    with pytest.raises(AssertionError, match="makes the variable"):
        trace(Making(), tf.ones([2]))


def test_batches_of_every_program_have_static_shapes(golden_dir, tmp_path):
    """On one host and as its share of several; the batches of tasks as a TPU gets them."""
    patterns = [str(golden_dir / "pretraining_data" / "default-*.tfrecord")]
    records = open_record_set(patterns, 128, 20, 30522, 2, RecordUse(needs_next_sentence=True))
    specs = [records.training_batches(ROWS, 1, 0, hosts, 0).element_spec for hosts in (1, 2)]
    for program in ("classifier", "squad"):
        _, _, features = PROGRAMS[program]()
        of_task = write_features(tmp_path / program, features)
        specs += [of_task.training_batches(ROWS, 1, 0, 2, 1, False).element_spec]
        specs += [of_task.ordered_batches(5, 1, 0, False, num_rows=ROWS).element_spec]
    for spec in specs:
        for name, tensor in spec.items():
            assert tensor.shape.is_fully_defined(), name


def test_one_call_of_the_host_feeds_as_many_steps_as_it_is_told():
    objective, model, features = pretraining()
    trainer = make_trainer(objective, model, jit_compile=False)
    batch = make_batch(features)

    def numbered(number):  # The first id of a batch is its number.
        ids = tf.fill([ROWS, LENGTH], tf.cast(number, tf.int32))
        return {**batch, "input_ids": ids}

    iterator = iter(tf.data.Dataset.range(60).map(numbered))
    trainer.run(iterator, 7)
    assert int(trainer.optimizer.step.numpy()) == 7
    assert int(next(iterator)["input_ids"][0, 0]) == 7
    trainer.run(iterator, 2)
    assert int(next(iterator)["input_ids"][0, 0]) == 10
    assert trainer._run.experimental_get_tracing_count() == 1


@pytest.fixture
def quiet():
    return io.StringIO()


def test_pretraining_keeps_all_in_a_remote_folder_and_goes_on_there(golden_dir, tmp_path, quiet):
    config = {**CONFIG.to_dict(), "vocab_size": 30522, "max_position_embeddings": 128}
    (tmp_path / "config.json").write_text(json.dumps(config))
    settings = {
        "bert_config_file": str(tmp_path / "config.json"),
        "input_file": (str(golden_dir / "pretraining_data" / "default-*.tfrecord"),),
        "train_batch_size": 8,
        "num_warmup_steps": 2,
        "save_checkpoints_steps": 4,
        "log_steps": 2,
        "max_eval_steps": 2,
        "do_train": True,
        "num_train_steps": 8,
    }
    for folder in ("ram://remote/pretrained", str(tmp_path / "local")):
        run_pretraining(PretrainingSettings(**settings, output_dir=folder, do_eval=True), quiet)
    names = tf.io.gfile.listdir("ram://remote/pretrained")
    assert {"checkpoint", "metrics.jsonl", "eval_results.txt", "model.ckpt-4.index"} <= set(names)
    assert any(name.startswith("events.out.tfevents") for name in names)
    assert not [name for name in names if "tmp" in name]

    # The last checkpoint is lost: it is made again, the same.
    for name in names:
        if name.startswith("model.ckpt-8") or name == "checkpoint":
            tf.io.gfile.remove(f"ram://remote/pretrained/{name}")
    run_pretraining(PretrainingSettings(**settings, output_dir="ram://remote/pretrained"), quiet)
    remote = tf.compat.v1.train.NewCheckpointReader("ram://remote/pretrained/model.ckpt-8")
    local = tf.train.load_checkpoint(str(tmp_path / "local" / "model.ckpt-8"))
    for name in local.get_variable_to_shape_map():
        np.testing.assert_array_equal(remote.get_tensor(name), local.get_tensor(name), name)


def test_fine_tuning_keeps_all_in_a_remote_folder(small_model, reviews, quiet):
    settings = small_finetuning(
        small_model,
        "glue:sst-2",
        "ram://remote/tuned",
        (f"data_dir={reviews}",),
        train_batch_size=32,
        num_train_epochs=0.5,
        eval_steps=2,
        do_predict=True,
    )
    figures = run_finetuning(settings, quiet)
    names = set(tf.io.gfile.listdir("ram://remote/tuned"))
    assert {"train.tf_record", "eval_results.txt", "test_results.tsv", "task.json"} <= names
    best = {name.rstrip("/") for name in tf.io.gfile.listdir("ram://remote/tuned/best")}
    assert f"model.ckpt-{figures['global_step']}.index" in best


def test_a_checkpoint_is_read_from_a_remote_folder(small_model):
    config = bert_tf.BertConfig.from_json_file(small_model["bert_config_file"])
    model = bert_tf.PretrainingModel(bert_tf.BertEncoder(config))
    bert_tf.save_checkpoint(model, "ram://remote/model/bert_model.ckpt")
    assert not load_checkpoint(model, "ram://remote/model").missing

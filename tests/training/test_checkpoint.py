import contextlib
import os
import resource

import keras
import numpy as np
import pytest
import tensorflow as tf

import bert_tf
from bert_tf.model.encoders import make_encoder
from bert_tf.training.checkpoint import (
    NumberedCheckpoints,
    find_checkpoint,
    has_encoder,
    named_variables,
    newest_step,
    write_tensors,
)
from bert_tf.training.optimizer import AdamWeightDecay
from bert_tf.training.schedule import WarmupAndDecay

CONFIG = bert_tf.BertConfig(
    vocab_size=30,
    hidden_size=8,
    num_hidden_layers=1,
    num_attention_heads=2,
    intermediate_size=12,
    max_position_embeddings=10,
    type_vocab_size=2,
)


def new_optimizer(model):
    return AdamWeightDecay(named_variables(model), WarmupAndDecay(1e-3, 10))


def read_all(prefix):
    reader = tf.train.load_checkpoint(str(prefix))
    return {name: reader.get_tensor(name) for name in reader.get_variable_to_shape_map()}


def test_a_checkpoint_of_the_original_comes_back_whole(golden_dir, tmp_path):
    source = golden_dir / "model" / "bert_model.ckpt"
    config = bert_tf.BertConfig.from_json_file(str(golden_dir / "model" / "bert_config.json"))
    model = bert_tf.PretrainingModel(bert_tf.BertEncoder(config))
    optimizer = new_optimizer(model)

    report = bert_tf.load_checkpoint(model, str(source), optimizer)
    bert_tf.save_checkpoint(model, str(tmp_path / "copy.ckpt"), optimizer)

    before, after = read_all(source), read_all(tmp_path / "copy.ckpt")
    assert set(before) == set(after) == set(report.loaded)
    assert not report.missing
    assert not report.unused
    for name, value in before.items():
        np.testing.assert_array_equal(after[name], value, err_msg=name)
        assert after[name].dtype == value.dtype


def test_an_encoder_takes_its_part_and_reports_the_rest(golden_dir):
    folder = golden_dir / "model"
    config = bert_tf.BertConfig.from_json_file(str(folder / "bert_config.json"))
    report = bert_tf.load_checkpoint(bert_tf.BertEncoder(config), str(folder))
    assert not report.missing
    assert "cls/predictions/output_bias" in report.unused
    assert all(name.startswith("cls/") for name in report.unused)
    assert "7 unused" in str(report)


def test_an_encoder_whose_weights_will_be_loaded_draws_none_and_heads_draw_the_same(tmp_path):
    bert_tf.save_checkpoint(bert_tf.BertEncoder(CONFIG), str(tmp_path / "whole.ckpt"))

    def model_for(path):
        keras.utils.set_random_seed(3)
        return bert_tf.ClassificationModel(
            make_encoder(CONFIG, will_be_loaded=has_encoder(path)), 3
        )

    drawn, model = model_for(None), model_for(str(tmp_path / "whole.ckpt"))
    assert not model.encoder.word_embeddings.numpy().any()
    assert drawn.encoder.word_embeddings.numpy().any()
    heads = [named_variables(each)["output_weights"] for each in (drawn, model)]
    np.testing.assert_array_equal(*heads)
    report = bert_tf.load_checkpoint(model, str(tmp_path / "whole.ckpt"))
    assert set(report.missing) == {"output_weights", "output_bias"}

    without_pooler = {
        name: value
        for name, value in named_variables(drawn.encoder).items()
        if not name.startswith(drawn.encoder.pooler_prefix)
    }
    write_tensors(str(tmp_path / "without_pooler.ckpt"), without_pooler)
    assert model_for(str(tmp_path / "without_pooler.ckpt")).encoder.word_embeddings.numpy().any()
    assert model_for(str(tmp_path / "nothing.ckpt")).encoder.word_embeddings.numpy().any()


def test_missing_heads_keep_their_values_and_are_reported(tmp_path):
    encoder = bert_tf.BertEncoder(CONFIG)
    bert_tf.save_checkpoint(encoder, str(tmp_path / "encoder.ckpt"), global_step=7)
    model = bert_tf.PretrainingModel(bert_tf.BertEncoder(CONFIG))
    bias = model.masked_lm.output_bias.numpy()

    report = bert_tf.load_checkpoint(model, str(tmp_path / "encoder.ckpt"))

    assert "cls/seq_relationship/output_weights" in report.missing
    np.testing.assert_array_equal(model.masked_lm.output_bias, bias)
    np.testing.assert_array_equal(model.encoder.get_weights()[0], encoder.get_weights()[0])
    assert read_all(tmp_path / "encoder.ckpt")["global_step"] == 7


def test_a_missing_variable_of_the_encoder_is_an_error_and_changes_nothing(tmp_path):
    model = bert_tf.BertEncoder(CONFIG)
    tensors = dict(named_variables(model))
    del tensors["bert/pooler/dense/kernel"]
    write_tensors(str(tmp_path / "part.ckpt"), tensors)
    other = bert_tf.BertEncoder(CONFIG)
    before = other.get_weights()
    with pytest.raises(ValueError, match=r"1 of the model's 23 .* bert/pooler/dense/kernel"):
        bert_tf.load_checkpoint(other, str(tmp_path / "part.ckpt"))
    for old, new in zip(before, other.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


def test_a_wrong_shape_is_an_error_that_names_both(tmp_path, golden_dir):
    with pytest.raises(
        ValueError, match=r"word_embeddings is \[120, 32\], the model's is \[30, 8\]"
    ):
        bert_tf.load_checkpoint(
            bert_tf.BertEncoder(CONFIG), str(golden_dir / "model" / "bert_model.ckpt")
        )


def test_no_checkpoint_is_an_error_that_says_how_one_is_named(tmp_path):
    with pytest.raises(ValueError, match=r"No checkpoint at .*bert_model.ckpt.index"):
        bert_tf.load_checkpoint(bert_tf.BertEncoder(CONFIG), str(tmp_path / "nothing.ckpt"))


def test_where_there_is_no_checkpoint_the_error_says_what_there_is(tmp_path):
    path = tmp_path / "pytorch_model.bin"
    path.write_bytes(b"\x80\x02}q\x00.")
    with pytest.raises(ValueError, match=r"model\.bin, which is PyTorch weights.*as --model"):
        bert_tf.load_checkpoint(bert_tf.BertEncoder(CONFIG), str(path))
    with pytest.raises(ValueError, match=r"which is a folder.*convert_checkpoint\.py"):
        bert_tf.load_checkpoint(bert_tf.BertEncoder(CONFIG), str(tmp_path))


def test_a_best_checkpoint_without_its_files_is_named_rather_than_its_folder(tmp_path):
    (tmp_path / "model.ckpt-1.index").touch()
    (tmp_path / "best").mkdir()
    (tmp_path / "best" / "checkpoint").write_text('model_checkpoint_path: "model.ckpt-1"\n')
    with pytest.raises(ValueError, match=r"No checkpoint at .*best, which is a folder"):
        bert_tf.load_checkpoint(bert_tf.BertEncoder(CONFIG), str(tmp_path))


def test_a_checkpoint_may_be_named_by_prefix_file_or_folder(tmp_path):
    prefix = str(tmp_path / "a[1]" / "bert_model.ckpt")
    bert_tf.save_checkpoint(bert_tf.BertEncoder(CONFIG), prefix)
    for path in (prefix, prefix + ".index", prefix + ".data-00000-of-00001", tmp_path / "a[1]"):
        assert find_checkpoint(str(path)) == prefix


def test_two_weights_of_one_name_are_refused(tmp_path):
    class Twins(keras.Model):
        def __init__(self):
            super().__init__(name="twins")
            self.first, self.second = (keras.layers.Dense(2, name="dense") for _ in range(2))
            for layer in (self.first, self.second):
                layer.build([None, 2])

    with pytest.raises(ValueError, match="Two weights of twins have the name 'dense/kernel'"):
        bert_tf.save_checkpoint(Twins(), str(tmp_path / "x.ckpt"))


def test_tensorflow_itself_finds_the_newest_of_the_kept_checkpoints(tmp_path):
    variable = tf.Variable([1.0])
    checkpoints = NumberedCheckpoints(str(tmp_path), {"x": variable}, keep=2)
    for step in (5, 10, 15):
        variable.assign([float(step)])
        checkpoints.save(step)

    assert tf.train.latest_checkpoint(str(tmp_path)) == str(tmp_path / "model.ckpt-15")
    assert sorted(os.listdir(tmp_path)) == [
        "checkpoint",
        "model.ckpt-10.data-00000-of-00001",
        "model.ckpt-10.index",
        "model.ckpt-15.data-00000-of-00001",
        "model.ckpt-15.index",
    ]
    variable.assign([0.0])
    assert checkpoints.restore() == str(tmp_path / "model.ckpt-15")
    assert variable.numpy() == [15.0]


def flip_bits(path, place, bits):
    content = bytearray(path.read_bytes())
    content[place] ^= bits
    path.write_bytes(bytes(content))


def test_a_flipped_byte_anywhere_in_an_index_is_never_more_than_damage(tmp_path):
    """TensorFlow's reader raises errors of many kinds."""
    variables = {name: tf.Variable([1.0, 2.0]) for name in "xyz"}
    checkpoints = NumberedCheckpoints(str(tmp_path), variables)
    checkpoints.save(1)
    checkpoints.save(2)
    index = tmp_path / "model.ckpt-2.index"
    whole = index.read_bytes()
    for place in range(len(whole)):
        for bits in (0x10, 0x80):
            flip_bits(index, place, bits)
            assert checkpoints.restore() in {str(tmp_path / f"model.ckpt-{n}") for n in (1, 2)}
            assert newest_step(str(tmp_path)) is None  # These have no step.
            assert [float(v[1]) for v in variables.values()] == [2.0] * 3
            index.write_bytes(whole)


def test_a_damaged_file_that_names_the_newest_names_nothing(tmp_path):
    checkpoints = NumberedCheckpoints(str(tmp_path), {"x": tf.Variable([1.0])})
    checkpoints.save(1)
    checkpoints.save(2)
    flip_bits(tmp_path / "checkpoint", 30, 0x80)
    assert checkpoints.restore() == str(tmp_path / "model.ckpt-2")


@pytest.mark.parametrize("damage", ["truncate data", "flip a byte", "truncate index", "no data"])
def test_a_damaged_checkpoint_gives_way_to_the_one_before(tmp_path, damage, caplog):
    variable = tf.Variable(np.arange(1000, dtype=np.float32))
    checkpoints = NumberedCheckpoints(str(tmp_path), {"x": variable})
    checkpoints.save(1)
    variable.assign(variable + 1)
    checkpoints.save(2)
    data = tmp_path / "model.ckpt-2.data-00000-of-00001"
    index = tmp_path / "model.ckpt-2.index"
    if damage == "truncate data":
        data.write_bytes(data.read_bytes()[:100])
    elif damage == "flip a byte":
        flip_bits(data, 500, 1)
    elif damage == "truncate index":
        index.write_bytes(index.read_bytes()[:20])
    else:
        data.unlink()

    assert checkpoints.restore() == str(tmp_path / "model.ckpt-1")
    assert variable.numpy()[0] == 0
    assert "model.ckpt-2" in caplog.text


def test_a_checkpoint_that_cannot_be_opened_now_is_not_a_damaged_one(tmp_path):
    checkpoints = NumberedCheckpoints(
        str(tmp_path), {"global_step": tf.Variable(1, dtype=tf.int64)}
    )
    for step in (1, 2):
        checkpoints.save(step)
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    opened = []
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (64, limits[1]))
        with contextlib.suppress(OSError):
            while True:
                opened.append(os.open(os.devnull, os.O_RDONLY))
        os.close(opened.pop())  # For the file `checkpoint`, and a folder's list.
        for read in (checkpoints.restore, lambda: newest_step(str(tmp_path))):
            with pytest.raises(OSError, match=r"model.ckpt-2: the checkpoint cannot be read now"):
                read()
    finally:
        for number in opened:
            os.close(number)
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
    assert newest_step(str(tmp_path)) == 1


def test_when_all_checkpoints_are_damaged_nothing_starts_anew_silently(tmp_path):
    checkpoints = NumberedCheckpoints(str(tmp_path), {"x": tf.Variable([1.0])})
    checkpoints.save(1)
    (tmp_path / "model.ckpt-1.data-00000-of-00001").write_bytes(b"")
    with pytest.raises(ValueError, match=r"model.ckpt-1: the checkpoint cannot be read: [^{}\[]*$"):
        checkpoints.restore()


def test_what_a_killed_run_began_to_write_is_removed(tmp_path):
    checkpoints = NumberedCheckpoints(str(tmp_path), {"x": tf.Variable([1.0])})
    (tmp_path / "model.ckpt-1.tmp-123.data-00000-of-00001").write_bytes(b"half")
    checkpoints.remove_unfinished()
    assert not os.listdir(tmp_path)
    assert checkpoints.restore() is None


def test_a_full_disk_leaves_nothing_half_written_and_the_old_files_whole(tmp_path):
    variable = tf.Variable(np.zeros(1000, np.float32))
    checkpoints = NumberedCheckpoints(str(tmp_path), {"x": variable}, keep=1)
    checkpoints.save(1)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    big = NumberedCheckpoints(str(tmp_path), {"x": tf.Variable(np.zeros(100_000, np.float32))})
    # A file may not grow beyond this: what the system says then is what a full disk says.
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, limits[1]))
    try:
        with pytest.raises(OSError, match=r"model\.ckpt-2: the checkpoint cannot be written"):
            big.save(2)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


@pytest.mark.data
def test_a_checkpoint_of_the_original_code_is_read_whole(data_dir):
    folder = data_dir / "tf1_tiny_checkpoint"
    with pytest.warns(UserWarning, match="pooler_type"):
        config = bert_tf.BertConfig.from_json_file(str(folder / "bert_config.json"))
    model = bert_tf.PretrainingModel(bert_tf.BertEncoder(config))
    optimizer = new_optimizer(model)
    report = bert_tf.load_checkpoint(model, str(folder / "bert_model.ckpt"), optimizer, None)
    assert not report.missing
    assert not report.unused

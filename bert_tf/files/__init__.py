"""Handles local and remote files: paths, kinds, damage, text lines, atomic writes, locks."""

from bert_tf.files.damage import naming_damage, optional_module, some  # noqa: F401
from bert_tf.files.kinds import (  # noqa: F401
    BINARY,
    HEAD_BYTES,
    HTML,
    JSON,
    SAFETENSORS,
    WIKI_EXTRACTOR,
    XML,
    copy_vocabulary,
    kind_of,
    refuse_other_kinds,
    remedy_for,
    vocabulary_copies,
    vocabulary_name,
)
from bert_tf.files.paths import (  # noqa: F401
    atomic_write,
    atomic_writes,
    check_free,
    exists,
    expand_input_files,
    file_digest,
    file_size,
    glob_files,
    hold_file,
    hold_folder,
    is_directory,
    is_remote,
    join_path,
    list_folder,
    make_directories,
    new_files,
    new_folder,
    open_file,
    read_bytes,
    remove_file,
    resolve_path,
    split_path,
    temporary_path,
)
from bert_tf.files.text_lines import max_unpacked_bytes, open_text_lines, separate_words  # noqa: F401

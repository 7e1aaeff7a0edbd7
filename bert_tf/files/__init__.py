"""Handles local and remote files: paths, globs, text lines, atomic writes, folder locks."""

from bert_tf.files.paths import (  # noqa: F401
    atomic_write,
    atomic_writes,
    exists,
    expand_input_files,
    file_size,
    glob_files,
    hold_folder,
    is_directory,
    is_remote,
    join_path,
    make_directories,
    new_folder,
    open_file,
    open_text_lines,
    remove_file,
    resolve_path,
    split_path,
    temporary_path,
)

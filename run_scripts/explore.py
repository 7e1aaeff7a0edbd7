"""Opens a web page on this machine that asks a model: what it answers, and what it looks at.

    python run_scripts/explore.py --model=/tmp/mrpc_output
    python run_scripts/explore.py --model=bert_base_uncased --port=8800 --noopen_browser
    python run_scripts/explore.py --model=bert_base_uncased --export=page.html \\
        --panel=attention --text="The cat sat on the mat."

The page shows what the model can do: it fills in [MASK], classifies with what each word
contributes, highlights the answer to a question, draws the attention of all layers and heads, and
finds the nearest of several sentences. It is served on 127.0.0.1, to this machine only, and nothing
leaves it. Ctrl-C stops it.

--export writes one answer as a page by itself, for a talk or a bug report, and needs no server
later. See docs/explore.md. Starts in a few seconds, most of them to load TensorFlow.
"""

import command_line
from absl import flags

from bert_tf.settings import ExploreSettings

command_line.define_flags(ExploreSettings, required=("model",))
flags.adopt_module_key_flags(command_line)


def main(_: list[str]) -> None:
    settings = command_line.settings_from_flags(ExploreSettings)
    command_line.load_tensorflow()
    from bert_tf.explorer.explorer import Explorer, export_page
    from bert_tf.explorer.server import ExplorerServer

    if settings.export:
        print(f"{settings.export}: {export_page(settings)}")
        return
    with ExplorerServer(Explorer.of_settings(settings), settings.port) as server:
        print(f"{server.address}    Ctrl-C stops it.", flush=True)
        server.run(settings.open_browser)


if __name__ == "__main__":
    command_line.run(main)

"""The explorer of small models, served to the tests of a module."""

import contextlib
import threading
from collections.abc import Iterator

import bert_tf
from bert_tf.explorer.explorer import Explorer
from bert_tf.explorer.server import ExplorerServer


@contextlib.contextmanager
def served(predictor: bert_tf.Predictor, name: str = "small") -> Iterator[ExplorerServer]:
    """Serves the page of a model while the context lasts."""
    with ExplorerServer(Explorer(predictor, name)) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        yield server
        server.shutdown()
        thread.join()

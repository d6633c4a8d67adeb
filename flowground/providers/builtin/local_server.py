"""The built-in model's process: llama.cpp's server on loopback, with OpenAI's protocol.

It is started as a file, not as a module, so that nothing of ours is imported beside the model. One line of JSON on
stdin says what to serve (`path`, `key`, `threads`, `slots`, `context`: tokens a slot). One line on stdout answers:
`{"ready": address}` or `{"failed": reason}`, the reason being no_wheel, no_libgomp, wheel_broken or model_broken. The
process ends when stdin closes, so that it never outlives its parent.
"""

import importlib
import json
import os
import sys
from typing import Any


def serve() -> None:
    """Serves until stdin closes."""
    # The answer goes to a copy of stdout; what the library prints to stdout goes to stderr instead.
    answer = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    asked = json.loads(sys.stdin.readline())
    server, said = _start(asked)
    print(json.dumps(said), file=answer, flush=True)
    if server is not None:
        sys.stdin.read()
    os._exit(0 if server is not None else 1)  # the library's own shutdown waits for answers that have no reader


def _start(asked: dict[str, Any]) -> tuple[Any, dict[str, str]]:
    try:
        xllamacpp = importlib.import_module("xllamacpp")  # a missing or unfit package is an answer too
    except ModuleNotFoundError:
        return None, {"failed": "no_wheel"}
    except ImportError as error:
        return None, {"failed": "no_libgomp" if "libgomp" in str(error) else "wheel_broken"}
    try:
        server = xllamacpp.Server(_make_parameters(xllamacpp, asked))
    except RuntimeError:
        return None, {"failed": "model_broken"}
    return server, {"ready": server.listening_address}


def _make_parameters(xllamacpp: Any, asked: dict[str, Any]) -> Any:
    parameters = xllamacpp.CommonParams()
    parameters.model.path = asked["path"]
    parameters.model_alias = {"local"}
    parameters.n_ctx = asked["context"] * asked["slots"]  # divided among the slots
    parameters.n_parallel = asked["slots"]
    parameters.cpuparams.n_threads = parameters.cpuparams_batch.n_threads = asked["threads"]
    parameters.api_keys = [asked["key"]]
    parameters.port = 0
    parameters.verbosity = 0
    parameters.ui = False
    parameters.endpoint_slots = False
    parameters.fit_params = False
    parameters.offline = True
    return parameters


if __name__ == "__main__":
    serve()

"""Importing Flowground does nothing to the libraries it stands on."""

import json
import subprocess
import sys

from tests.servers import ROOT, clean_environment

PROGRAM = """
import contextlib, importlib, io, json, logging, pkgutil, signal, sys
with contextlib.redirect_stderr(io.StringIO()):  # the authenticator says that no server runs here
    for name in ("streamlit.web.bootstrap", "streamlit.web.server.starlette.starlette_app", "streamlit.testing.v1",
                 "streamlit.watcher.polling_path_watcher", "uvicorn.protocols.http.httptools_impl",
                 "uvicorn.protocols.websockets.websockets_sansio_impl", "uvicorn.middleware.proxy_headers",
                 "streamlit_authenticator"):
        importlib.import_module(name)
THEIRS = ("streamlit", "uvicorn", "streamlit_authenticator", "websockets", "starlette")

def is_theirs(name):
    return name.partition(".")[0] in THEIRS

def look():
    found = {}
    for name, module in list(sys.modules.items()):
        if is_theirs(name):
            for key, value in list(vars(module).items()):
                found[f"{name}.{key}"] = value
                if isinstance(value, type) and is_theirs(value.__module__):
                    found.update({f"{name}.{key}.{inner}": held for inner, held in vars(value).items()})
    return found

def look_around():
    filters = {name: list(log.filters) for name, log in logging.root.manager.loggerDict.items()
               if is_theirs(name) and isinstance(log, logging.Logger)}
    return filters, logging.getLogRecordFactory(), [signal.getsignal(one) for one in (signal.SIGTERM, signal.SIGINT)]

before, around = look(), look_around()
import flowground
modules = [one.name for one in pkgutil.walk_packages(flowground.__path__, "flowground.") if "__main__" not in one.name]
for name in modules:
    importlib.import_module(name)
after = look()
changed = sorted(name for name, value in before.items() if after.get(name) is not value)
filters = {name: kept for name, kept in look_around()[0].items() if name in around[0]}
print(json.dumps({"modules": len(modules), "looked at": len(before), "changed": changed,
                  "around": (filters, *look_around()[1:]) == around}))
"""


def test_importing_every_module_changes_nothing_of_the_libraries() -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        cwd=ROOT, env=clean_environment(), capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["modules"] > 150
    assert told["looked at"] > 5_000
    assert (told["changed"], told["around"]) == ([], True)

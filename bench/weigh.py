"""`make weigh`: what the project weighs, beside its limits in bench/weight.toml; writes the table of docs/weight.md.

`python -m bench.weigh --check` writes nothing: it ends with 1, and a sentence for each measure that is over the limit
in force.

A line is one with code on it: no blank, no comment, no docstring. The names at the top are the modules and packages
beside flowground/__init__.py. A module with one reader is a file of flowground, `__init__.py` aside, that exactly one
other file of flowground/, pages/ or app.py imports, in whole or a name of it. How a run is traced says `bench.entered`.
The seconds of tests are those that the last whole run of `pytest` took and left in pytest's cache as `tests/seconds`; a
figure that is not known is kept as docs/weight.md has it.
"""

import argparse
import ast
import io
import json
import re
import subprocess
import sys
import tokenize
import tomllib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "weight.md"
_SECONDS = ROOT / ".pytest_cache" / "v" / "tests" / "seconds"
_NO_CODE = frozenset(
    (tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER)
)
_WITH_DOCSTRING = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)


def count_lines(source: str) -> int:
    """Of Python: those with code on them."""
    docstrings = set[int]()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, _WITH_DOCSTRING) and ast.get_docstring(node, clean=False) is not None:
            docstrings |= set(range(node.body[0].lineno, (node.body[0].end_lineno or 0) + 1))
    code = set[int]()
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type not in _NO_CODE:
            code |= set(range(token.start[0], token.end[0] + 1))
    return len(code - docstrings)


def count_in(folder: str) -> int:
    """Lines of a folder's Python."""
    return sum(count_lines(path.read_text("utf-8")) for path in (ROOT / folder).rglob("*.py"))


def count_javascript() -> int:
    texts = (path.read_text("utf-8") for path in (ROOT / "frontend" / "src").rglob("*.[jc]s*"))
    lines = (line.strip() for text in texts for line in re.sub(r"/\*.*?\*/", "", text, flags=re.DOTALL).splitlines())
    return sum(bool(line) and not line.startswith("//") for line in lines)


def count_names() -> int:
    """At the top of the package."""
    return sum(len(list((ROOT / "flowground").glob(names))) for names in ("[!_]*.py", "*/__init__.py"))


def count_words() -> int:
    pages = [ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")]
    return sum(len(page.read_text("utf-8").split()) for page in (*pages, *(ROOT / "docs").rglob("*.md")))


def count_one_reader() -> int:
    """Modules that one other imports."""
    modules = {_name(path): path for path in (ROOT / "flowground").rglob("*.py")}
    readers = Counter[str]()
    for path in (*modules.values(), *(ROOT / "pages").rglob("*.py"), ROOT / "app.py"):
        readers.update(set(_list_imports(path, modules)) - {_name(path)})
    return sum(readers[name] == 1 for name, path in modules.items() if path.name != "__init__.py")


def _name(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def _list_imports(path: Path, modules: Iterable[str]) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            for alias in node.names:
                whole = f"{node.module}.{alias.name}"
                yield whole if whole in modules else str(node.module)


@cache
def _trace() -> dict[str, dict[str, int]]:
    found: dict[str, dict[str, int]] = json.loads(_run("-m", "bench.entered"))
    return found


@cache
def _collect() -> tuple[int, int]:
    """Cases: fast ones, slow ones."""
    last = _run("-m", "pytest", "--collect-only", "-q", "-n0", "-m", "slow").splitlines()[-1]
    left_out, chosen = (re.search(form, last) for form in (r"\((\d+) deselected", r"(\d+)/\d+ tests"))
    return int(left_out[1]) if left_out else 0, int(chosen[1]) if chosen else 0


def _run(*arguments: str) -> str:
    done = subprocess.run([sys.executable, *arguments], cwd=ROOT, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode not in (0, 5):  # pytest ends with 5 where it chose no test
        raise SystemExit(f"{done.stdout}\n{' '.join(arguments)} failed")
    return done.stdout


def read_seconds() -> int | None:
    return round(float(_SECONDS.read_text("utf-8"))) if _SECONDS.exists() else None


@dataclass(frozen=True, slots=True)
class Measure:
    title: str
    count: Callable[[], int | None]
    """None: not known."""


MEASURES: Mapping[str, Measure] = {
    "python": Measure("lines of Python in flowground/", lambda: count_in("flowground")),
    "javascript": Measure("lines of JavaScript and CSS in frontend/src/", count_javascript),
    "files": Measure("files in flowground/", lambda: len(list((ROOT / "flowground").rglob("*.py")))),
    "names": Measure("names at the top of the package", count_names),
    "one_reader": Measure("modules with one reader", count_one_reader),
    "run_files": Measure("files that a run through the API enters", lambda: len(_trace()["run"])),
    "run_calls": Measure("calls of a run through the API", lambda: sum(_trace()["run"].values())),
    "chat_files": Measure("files that a chat message enters", lambda: len(_trace()["chat"])),
    "chat_calls": Measure("calls of a chat message", lambda: sum(_trace()["chat"].values())),
    "words": Measure("words of docs", count_words),
    "fast_cases": Measure("cases of `pytest`", lambda: _collect()[0]),
    "slow_cases": Measure("cases of `pytest -m slow`", lambda: _collect()[1]),
    "test_lines": Measure("lines of tests", lambda: count_in("tests")),
    "test_seconds": Measure("seconds of `pytest`", read_seconds),
    "bench": Measure("lines of bench", lambda: count_in("bench")),
}


@dataclass(frozen=True, slots=True)
class Limits:
    """bench/weight.toml: by measure, as in `MEASURES`."""

    in_force: str
    baseline: Mapping[str, int]
    limits: Mapping[str, Mapping[str, int]]

    @classmethod
    def read(cls) -> "Limits":
        told: dict[str, Any] = tomllib.loads((ROOT / "bench" / "weight.toml").read_text("utf-8"))
        return cls(**told)

    def list_over(self) -> Iterator[str]:
        """A sentence for each measure that is over its limit in force; nothing else is counted."""
        for name, limit in self.limits[self.in_force].items():
            measure = MEASURES[name]
            found = measure.count()
            if found is not None and found > limit:
                yield f"{measure.title}: {found:,}, and “{self.in_force}” allows {limit:,}."

    def write_table(self, before: str, *, commit: str) -> str:
        """The page with a new table for its first; all else stays."""
        issues = [f"**{name}**" if name == self.in_force else name for name in self.limits]
        rows = [
            f"| measure | at 2e7e596 | now, at {commit} | {' | '.join(issues)} |",
            f"| --- | ---: | ---: |{' ---: |' * len(issues)}",
        ]
        known = dict(re.findall(r"^\| ([^|]+) \| [^|]+ \| ([^|]+) \|", before, re.MULTILINE))
        for name, measure in MEASURES.items():
            found = measure.count()
            now = known.get(measure.title, "–") if found is None else f"{found:,}"
            most = [_number(limits.get(name)) for limits in self.limits.values()]
            rows.append(f"| {measure.title} | {_number(self.baseline.get(name))} | {now} | {' | '.join(most)} |")
        begin, *_, last = re.split(r"^((?:\|.*\n)+)", before, maxsplit=1, flags=re.MULTILINE)
        return begin + "\n".join(rows) + "\n" + last


def _number(value: int | None) -> str:
    return "–" if value is None else f"{value:,}"


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.weigh", description=__doc__.partition("\n")[0])
    parser.add_argument("--check", action="store_true", help="say what is over its limit; write nothing")
    limits = Limits.read()
    if parser.parse_args().check:
        over = list(limits.list_over())
        print("\n".join(over or ["Nothing is over its limit."]))
        return 1 if over else 0
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    page = limits.write_table(PAGE.read_text("utf-8"), commit=commit.stdout.strip())
    PAGE.write_text(page, "utf-8")
    print(page.partition("\n## ")[0])
    return 0


if __name__ == "__main__":
    sys.exit(main())

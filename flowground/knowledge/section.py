"""`knowledge:` of a flow file and of config.yaml: in which files and pages a flow looks things up."""

import re
from typing import Annotated

from pydantic import AfterValidator, Field, model_validator

from flowground.core.media_types import explain_pattern
from flowground.core.yaml_file import Section

MOST_KNOWLEDGE = 20
"""The most entries of `knowledge:` in one file."""
_MOST_PATTERNS = 50
_MOST_URLS = 50
_URL = re.compile(r"https?://[^\s/?#@\\]{1,300}([/?][^\s#\\]{0,2000})?")
_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,39}")


class SplitSection(Section):
    """How files are cut into passages, in characters."""

    size: int = Field(1000, ge=100, le=10_000, description="Longest passage, in characters.")
    overlap: int = Field(
        200, ge=0, le=5_000, description="How much of a passage's end the next one repeats; half of `size` at most."
    )

    @model_validator(mode="after")
    def _check_overlap(self) -> "SplitSection":
        if self.overlap * 2 > self.size:
            raise ValueError("`overlap` is half of `size` at most")
        return self


def _check_pattern(pattern: str) -> str:
    if wrong := explain_pattern(pattern):
        raise ValueError(f"a pattern of files {wrong}")
    return pattern


def _check_model(model: str) -> str:
    if not re.fullmatch(r"[^\s:]{1,100}:\S{1,200}", model):
        raise ValueError("a model is written provider:model, for example openai:text-embedding-3-small")
    return model


def _check_url(url: str) -> str:
    if not _URL.fullmatch(url):
        raise ValueError("an address is written https://docs.example.com/page, without a name and a password")
    return url


def _check_urls(urls: tuple[str, ...]) -> tuple[str, ...]:
    if len(urls) > _MOST_URLS:
        raise ValueError(f"there are {_MOST_URLS} addresses at most")
    return tuple(dict.fromkeys(urls))


def _check_count(patterns: tuple[str, ...]) -> tuple[str, ...]:
    if not 1 <= len(patterns) <= _MOST_PATTERNS:
        raise ValueError(f"there are 1 to {_MOST_PATTERNS} patterns")
    return patterns


class KnowledgeSection(Section):
    """Files and pages in which a flow looks things up. They are read again when they change, not when a flow runs."""

    files: Annotated[tuple[Annotated[str, AfterValidator(_check_pattern)], ...], AfterValidator(_check_count)] = Field(
        (),
        description="Patterns of pdf, docx, html, csv, json, md and txt files below the flows folder, such as "
        "`knowledge/handbook/**/*.{md,pdf}`.",
    )
    urls: Annotated[tuple[Annotated[str, AfterValidator(_check_url)], ...], AfterValidator(_check_urls)] = Field(
        (),
        description="Addresses of single web pages and files, asked again after an hour; links in them are not "
        "followed.",
    )
    uploads: bool = Field(
        False,
        description="Whether files are added on the page *Knowledge* too: by who may publish the flow, or for "
        "config.yaml's by admins.",
    )
    split: SplitSection = SplitSection()
    embeddings: Annotated[str, AfterValidator(_check_model)] | None = Field(
        None,
        description="A model of vectors, such as `openai:text-embedding-3-small`, to find passages by meaning too.",
    )

    @model_validator(mode="after")
    def _check_sources(self) -> "KnowledgeSection":
        if not (self.files or self.urls or self.uploads):
            raise ValueError("there is `files`, `urls` or `uploads: true`")
        return self


def _check_names(given: "dict[str, KnowledgeSection]") -> "dict[str, KnowledgeSection]":
    if len(given) > MOST_KNOWLEDGE:
        raise ValueError(f"there are {MOST_KNOWLEDGE} at most")
    for name in given:
        if not _NAME.fullmatch(name):
            raise ValueError(f"{name!r} is no name: those are small letters, digits, `_` and `-`, up to 40 of them")
    return given


KnowledgeSections = Annotated[dict[str, KnowledgeSection], AfterValidator(_check_names)]
"""Knowledge sections by name."""

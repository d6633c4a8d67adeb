"""Knowledge: files of a folder, cut into passages and indexed, so that the passages about a question are found.

Its index has a home (`IndexHomes`): a folder, or tables of PostgreSQL. In a folder it is a file that never changes: the
next one is made beside it, in another process (`worker`), and serves once the small file `current` names it. Whoever
searches meanwhile reads the one before. One process makes an index at a time (`KnowledgeBusy`).
"""

from flowground.knowledge.building import BuildReport, IndexState
from flowground.knowledge.embeddings import Embeddings
from flowground.knowledge.homes import IndexHomes
from flowground.knowledge.index import IndexedFile
from flowground.knowledge.index_folder import IndexFolder
from flowground.knowledge.pages import FetchPage, Page, PageSources
from flowground.knowledge.searching import Filters, Hit, read_filters
from flowground.knowledge.shelf import Knowledge, KnowledgeBusy, KnowledgeMissing, KnowledgeSources
from flowground.knowledge.sources import GivenFile
from flowground.knowledge.unmet import explain_unmet

__all__ = [
    "BuildReport",
    "Embeddings",
    "FetchPage",
    "Filters",
    "GivenFile",
    "Hit",
    "IndexFolder",
    "IndexHomes",
    "IndexState",
    "IndexedFile",
    "Knowledge",
    "KnowledgeBusy",
    "KnowledgeMissing",
    "KnowledgeSources",
    "Page",
    "PageSources",
    "explain_unmet",
    "read_filters",
]

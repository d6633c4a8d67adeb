"""Knowledge: files of a folder, cut into passages and indexed, so that the passages about a question are found.

Its index has a home (`IndexHomes`): a folder, or tables of PostgreSQL. In a folder it is a file that never changes: the
next one is made beside it, in another process (`worker`), and serves once the small file `current` names it. Whoever
searches meanwhile reads the one before. One process makes an index at a time (`KnowledgeBusy`).
"""

from flowground.knowledge.building import BuildReport as BuildReport
from flowground.knowledge.building import IndexState as IndexState
from flowground.knowledge.embeddings import Embeddings as Embeddings
from flowground.knowledge.homes import IndexHomes as IndexHomes
from flowground.knowledge.index import IndexedFile as IndexedFile
from flowground.knowledge.index_folder import IndexFolder as IndexFolder
from flowground.knowledge.pages import FetchPage as FetchPage
from flowground.knowledge.pages import Page as Page
from flowground.knowledge.pages import PageSources as PageSources
from flowground.knowledge.searching import Filters as Filters
from flowground.knowledge.searching import Hit as Hit
from flowground.knowledge.searching import read_filters as read_filters
from flowground.knowledge.shelf import Knowledge as Knowledge
from flowground.knowledge.shelf import KnowledgeBusy as KnowledgeBusy
from flowground.knowledge.shelf import KnowledgeMissing as KnowledgeMissing
from flowground.knowledge.shelf import KnowledgeSources as KnowledgeSources
from flowground.knowledge.sources import GivenFile as GivenFile
from flowground.knowledge.unmet import explain_unmet as explain_unmet

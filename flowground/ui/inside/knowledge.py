"""The page *Knowledge*: its files, how far they are indexed, a search to try, and files that authors add and remove.

Files are added by a component, frontend/src/knowledge.js: Streamlit's own would hold them in memory.
"""

import re
from collections.abc import Callable, Collection, Coroutine, Sequence
from typing import Any
from urllib.parse import quote

import streamlit as st

from flowground.access import Access
from flowground.access.insides import may_see_inside
from flowground.app import knowledge_admin, runtime
from flowground.app.knowledge_admin import ShownKnowledge
from flowground.core.caller import Caller
from flowground.core.errors import FlowNotFound
from flowground.core.words import fold, has_words, write_size
from flowground.knowledge.extraction import ENDINGS, READABLE
from flowground.knowledge.index import IndexedFile
from flowground.knowledge.searching import Filters, explain_unmatched
from flowground.runs.files import UPLOADS_FOLDER
from flowground.store.runs import files
from flowground.store.runs.files import StoredFile
from flowground.ui.page import bridge, browser, words
from flowground.ui.page.bridge import require_caller
from flowground.ui.page.parts import ListPage, begin_sentence, make_component, make_key, render_confirm, render_list
from flowground.ui.people import open_row
from flowground.ui.shell import opening
from flowground.ui.sign_in import sign_in

_LOOK_SECONDS = 2
"""Seconds between two looks at an index that is being made."""
_FILES = 10
"""Files on one page of the list."""
_MOST_NOTES = 20
_MOST_NAMED = 3
_HIT_CHARS = 600
_HEADING = re.compile(r"^#{1,6} ", re.MULTILINE)
_IN_ADDRESS = ":/?#[]@!$&*+,;=%~"
"""Characters that stay unquoted in an address in Markdown."""
_NEEDS_CODE = "Adding files asks for the owner code, which is in the terminal where Flowground was started."
_NO_SUCH_FILE = (
    "No file with that name. `**/NAME` is one in any folder, `folder/**` all of a folder, and `**/*.pdf` all PDFs."
)
_EXAMPLE = """\
components:
  Found: {type: Retrieve, knowledge: handbook, search_query: "${ChatInput}"}
knowledge:
  handbook:
    files: ["knowledge/handbook/**/*.{md,pdf,txt}"]   # below the flows folder
    urls: ["https://docs.example.com/rules"]          # pages and files of the web
    uploads: true                                     # and files that are added here
"""
_KnownFile = tuple[str, IndexedFile | None, StoredFile | None]
"""A source, what is indexed of it, and the file that was added."""
_render_adding = make_component("knowledge")


def render_page() -> None:
    """The page of the flow in the address; "no access" if the caller may not see it."""
    caller = require_caller()
    opening.require_allowed(may_see_inside(caller))
    flow_id = st.query_params.get("flow", "")
    places = _find_places(caller, flow_id)
    opening.require_allowed(places is not None)
    wired = runtime.get().catalogue.find(flow_id) if flow_id else None
    st.set_page_config(page_title=f"Knowledge · {wired.name}" if wired else "Knowledge")
    if wired:
        with st.container(horizontal=True, key="knowledge:ways"):
            label, query = words.escape(wired.name), {"flow": wired.id}
            st.page_link(browser.PLAYGROUND, label=label, icon=":material/arrow_back:", query_params=query)
    st.title("Knowledge", anchor=False)
    if places:
        _render_chosen(caller, _choose(places))
    else:
        _render_nothing(is_of_flow=wired is not None)
    _render_left(caller)


def _find_places(caller: Caller, flow_id: str) -> list[tuple[str, str]] | None:
    try:
        return bridge.call(knowledge_admin.list_knowledge(runtime.get(), caller, flow_id))
    except FlowNotFound:
        return None


def _choose(places: Sequence[tuple[str, str]]) -> tuple[str, str]:
    """The knowledge that is shown; a choice if there are several."""
    if len(places) == 1:
        return places[0]
    return st.selectbox("Which", places, key="knowledge:which", format_func=_write_place, width=320)


def _write_place(place: tuple[str, str]) -> str:
    flow_id, name = place
    return name if flow_id else f"{name} (for all flows)"


def _render_nothing(*, is_of_flow: bool) -> None:
    says = "No documents connected" if is_of_flow else "No documents for all flows"
    where = "the flow's file" if is_of_flow else "config.yaml"
    st.markdown(f"{says}. Add a `knowledge:` section to {where}:")
    st.code(_EXAMPLE, language="yaml")


def _render_chosen(caller: Caller, place: tuple[str, str]) -> None:
    with bridge.render_refusals():
        shown = bridge.call(knowledge_admin.read_knowledge(runtime.get(), caller, *place))
        st.header(words.escape(shown.entry.name), anchor=False)
        _render_sources(shown, is_shared=not place[0])
        _render_state(shown)
        if shown.may_change and shown.entry.section.uploads:
            _render_uploads(place, shown.filtering)
        _render_notes(shown)
        for unmatched in shown.unmatched[:_MOST_NOTES]:  # filters of flows that match no file, so they find nothing
            st.warning(words.write_sentence(unmatched), icon=":material/filter_alt_off:")
        _render_search(caller, place, (shown.indexed or {}).values())
        _render_files(caller, place, shown)
        if shown.is_outdated or shown.state.is_running:
            _watch(place, _make_signature(shown))


def _render_sources(shown: ShownKnowledge, *, is_shared: bool) -> None:
    patterns = ", ".join(f"`{pattern}`" for pattern in shown.entry.section.files)
    parts = (
        "For all flows, by config.yaml" if is_shared else "",
        f"{patterns} below the flows folder" if patterns else "",
        f"{words.count(len(shown.entry.section.urls), 'page')} of the web" if shown.entry.section.urls else "",
        "files that are added here" if shown.entry.section.uploads else "",
        f"by meaning with `{shown.entry.section.embeddings}`" if shown.entry.section.embeddings else "",
    )
    st.caption(begin_sentence(words.join(parts)))


def _render_state(shown: ShownKnowledge) -> None:
    """How far the knowledge is indexed, in one line."""
    state, icon, color = shown.state, ":material/hourglass_top:", "blue"
    if state.is_running:
        says = f"Reading: {state.done:,} of {words.count(state.total, 'file')} that changed"
    elif state.failure:
        says, icon, color = f"Could not be indexed: {words.write_sentence(state.failure)}", ":material/error:", "red"
    elif shown.lacks_vectors:
        says = "Vectors are missing" if shown.words_only else "Vectors are missing: only words are searched"
        icon, color = ":material/warning:", "orange"
    elif shown.is_outdated:
        changed = "Pages are asked again in a moment, and what changed is read"
        changed = changed if shown.entry.section.urls else "Files changed; they are read in a moment"
        says = changed if shown.indexed else "Not indexed yet; that begins soon"
    elif not shown.indexed:
        says, icon, color = "Nothing is in it yet", ":material/inbox:", "gray"
    else:
        says, icon, color = "Indexed", ":material/check_circle:", "green"
    indexed = (shown.indexed or {}).values()
    passages = sum(file.passages for file in indexed)
    unread, kind = sum(file.is_unread for file in indexed), _name_source(shown)
    facts = [f"{words.count(passages, 'passage')} of {words.count(len(indexed) - unread, kind)}"] if indexed else []
    if unread:
        facts.append(f"{words.count(unread, kind)} could not be read")
    if shown.uploads:
        most = runtime.get().settings.limits.knowledge_bytes
        size = write_size(sum(file.reference.size for file in shown.uploads))
        facts.append(f"{size} of {write_size(most)} added here" if most else f"{size} added here")
    st.markdown(f":{color}[{icon} **{says}**] :gray[{words.join(('', *facts))}]")


def _render_uploads(place: tuple[str, str], filtering: Sequence[str]) -> None:
    if not sign_in.ask_owner_code(key="knowledge:code", says=_NEEDS_CODE):
        return
    flow_id, name = place
    limits = runtime.get().settings.limits
    says = f"or drop them here: {READABLE}, up to {write_size(limits.file_bytes)} each"
    data: dict[str, Any] = {"flow": flow_id, "knowledge": name, "bytes": limits.file_bytes, "says": says}
    data |= {"accept": ",".join(ENDINGS), "most": files.MOST_ADDED}
    key = make_key(f"knowledge:adding:{flow_id}/{name}")
    _render_adding(key=key, data=[data], on_added_change=lambda: None)
    if filtering:
        who = ", ".join(filtering[:_MOST_NAMED]) + (" and others" if len(filtering) > _MOST_NAMED else "")
        verb = "have" if len(filtering) > 1 else "has"
        says = f"{who} {verb} `filters`, and will find a file that is added here only where they let it through."
        st.caption(f"{says} Its `source` is `{UPLOADS_FOLDER}NAME`; keys stand at the beginning of Markdown files.")


def _render_notes(shown: ShownKnowledge) -> None:
    """Why only words are found, and what is wrong with files."""
    if shown.words_only:
        st.warning(words.write_sentence(shown.words_only), icon=":material/warning:")
    notes = [file.note for file in (shown.indexed or {}).values() if file.note]
    if not notes:
        return
    lines = [f"- {words.write_sentence(note)}" for note in notes[:_MOST_NOTES]]
    if len(notes) > _MOST_NOTES:
        lines.append(f"- and {len(notes) - _MOST_NOTES:,} more")
    title = f"{words.count(len(notes), _name_source(shown))} could not be read, or not wholly; the others are indexed."
    st.warning(f"{title}\n\n" + "\n".join(lines), icon=":material/warning:")


def _name_source(shown: ShownKnowledge) -> str:
    return "source" if shown.entry.section.urls else "file"


def _list_entries(shown: ShownKnowledge) -> list[_KnownFile]:
    """Files that authors added, newest first; then files with a note; then the rest by name."""
    indexed = dict(shown.indexed or {})
    added: list[_KnownFile] = []
    for file in shown.uploads:
        source = f"{UPLOADS_FOLDER}{file.reference.name}"
        known = indexed.pop(source, None)
        added.append((source, known if known and known.signature == file.reference.sha256 else None, file))
    if shown.entry.section.uploads:  # an indexed upload that is not listed was removed
        indexed = {source: file for source, file in indexed.items() if not file.source.startswith(UPLOADS_FOLDER)}
    others = sorted(indexed.values(), key=lambda file: (not file.note, file.source))
    return [*added, *((file.source, file, None) for file in others)]


def _render_files(caller: Caller, place: tuple[str, str], shown: ShownKnowledge) -> None:
    entries = _list_entries(shown)

    async def find(_: Access, __: Caller, words: str, *, limit: int, offset: int) -> ListPage[_KnownFile]:
        wanted = fold(words).split()
        found = [entry for entry in entries if has_words(entry[0], wanted)] if wanted else entries
        return found[offset : offset + limit], len(found)

    def render(items: Sequence[_KnownFile]) -> None:
        for source, indexed, file in items:
            name = words.escape(source.removeprefix(UPLOADS_FOLDER)) if file else _write_source(source)
            facts = words.join((_write_file_state(indexed), _write_added(file)))
            with open_row(f"knowledge:file:{source}", f"**{name}**", facts):
                if file and shown.may_change:
                    # looks.css hides the file's name beside its row, for all but screen readers.
                    label, key = f"Remove **{name}**", f"knowledge:remove:{file.reference.id}"
                    if st.button(label, key=key, icon=":material/delete:", type="tertiary"):
                        _remove(place, file)

    st.subheader("Files and pages" if shown.entry.section.urls else "Files", anchor=False)
    name, empty = f"knowledge:{shown.entry.address}", _write_empty(shown)
    render_list(name, "Search files", find, caller, render, empty=empty, size=_FILES)


def _is_address(source: str) -> bool:
    return source.startswith(("https://", "http://"))


def _write_source(source: str) -> str:
    """The source; a web page as a link, which Streamlit opens in a new tab."""
    shown = words.escape(source)
    return f"[{shown}]({quote(source, safe=_IN_ADDRESS)})" if _is_address(source) else shown


def _write_empty(shown: ShownKnowledge) -> str:
    if shown.entry.section.uploads and shown.may_change:
        return "None yet. Add some above: a few seconds later flows find what stands in them."
    if shown.entry.section.files and not shown.entry.section.uploads:
        return "None yet: the flows folder has no file of these names."
    return "None yet."


def _write_file_state(indexed: IndexedFile | None) -> str:
    if indexed is None:
        return ":blue[is read soon]"
    if not indexed.passages:
        return ":red[could not be read]" if indexed.is_unread else "has no text"
    note = "as it was before" if _is_address(indexed.source) else "not all of it"
    return words.count(indexed.passages, "passage") + (f" · :orange[{note}]" if indexed.note else "")


def _write_added(file: StoredFile | None) -> str:
    if file is None:
        return ""
    return f"{write_size(file.reference.size)} · added {browser.write_since(file.created_at)}"


@st.dialog("Remove this file?")
def _remove(place: tuple[str, str], file: StoredFile) -> None:
    name, size = words.escape(file.reference.name), write_size(file.reference.size)
    says = f"**{name}**, {size}, is deleted, and flows find it no more. This cannot be undone."
    _confirm("Remove", says, knowledge_admin.remove_file, *place, file.reference.id)


def _confirm(label: str, says: str, act: Callable[..., Coroutine[Any, Any, object]], *args: str) -> None:
    """In a dialog: calls `act`, once it was confirmed, for who has the owner code."""
    key = f"knowledge:{label.lower()}"
    if not sign_in.ask_owner_code(key=f"{key}:code"):
        return
    st.write(says)
    if render_confirm(label, key=f"{key}:yes"):
        with bridge.render_refusals():
            bridge.call(act(runtime.get(), require_caller(), *args))
            st.rerun()


def _render_search(caller: Caller, place: tuple[str, str], indexed: Collection[IndexedFile]) -> None:
    st.subheader("Try it", anchor=False)
    with st.form("knowledge:try", border=False), st.container(horizontal=True, vertical_alignment="bottom"):
        label = "What would somebody ask?"
        question = st.text_input(
            label, key="knowledge:question", max_chars=2_000, placeholder="How many days of leave?"
        )
        source = st.text_input(
            "In these files", key="knowledge:source", max_chars=300, placeholder="**/*.pdf", width=180
        )
        is_sent = st.form_submit_button("Find passages", icon=":material/search:")
    if not (question or "").strip():
        if is_sent:
            st.caption("Enter a question first.")
        return
    pattern = (source or "").strip()
    with bridge.render_refusals():
        hits, words_only = bridge.call(
            knowledge_admin.find_passages(runtime.get(), caller, *place, question, source=pattern)
        )
        if words_only:
            st.caption(f":orange[:material/warning: {words.write_sentence(words_only)}]")
        if not hits:
            is_met = not pattern or not explain_unmatched(Filters((pattern,)), indexed)
            st.caption("Nothing was found." if is_met else _NO_SUCH_FILE)
        for number, hit in enumerate(hits, 1):
            where = words.join((f"page {hit.page}" if hit.page else "", f"score {hit.score:.2f}"))
            title = f"**{words.escape(hit.title)}**  \n" if hit.title else ""
            with st.container(border=True, key=f"knowledge:hit:{number}"):
                st.markdown(f":small[{title}:gray[{number}. {_write_source(hit.source)} · {where}]]")
                text = hit.text if hit.source.endswith(".txt") else _HEADING.sub("", hit.text)
                st.text(words.cut(text, _HIT_CHARS))


def _render_left(caller: Caller) -> None:
    """For admins: files of a knowledge that no flow names any more."""
    left = bridge.call(knowledge_admin.list_orphaned(runtime.get(), caller))
    if not left:
        return
    st.subheader("Files that no flow reads", anchor=False)
    st.caption(
        "They were added to a knowledge that no flow file and not config.yaml names now. They stay, and are read again "
        "once one does, until you delete them."
    )
    for one in left:
        size = write_size(one.size)
        facts = words.join((words.count(one.count, "file"), size, f"newest {browser.write_since(one.newest)}"))
        with open_row(f"knowledge:left:{one.address}", f"**{words.escape(one.address)}**", facts):
            if st.button("Delete", key=f"knowledge:delete:{one.address}", icon=":material/delete:", type="tertiary"):
                _delete_left(one.address, f"{words.count(one.count, 'file')}, {size}")


@st.dialog("Delete these files?")
def _delete_left(address: str, size: str) -> None:
    says = f"What was added to {words.escape(address)}: {size}. This cannot be undone."
    _confirm("Delete", says, knowledge_admin.remove_orphaned, address)


def _make_signature(shown: ShownKnowledge) -> tuple[object, ...]:
    return shown.state, shown.is_outdated, shown.lacks_vectors, len(shown.uploads), len(shown.indexed or ())


@st.fragment(run_every=_LOOK_SECONDS)
def _watch(place: tuple[str, str], before: tuple[object, ...]) -> None:
    """Reruns the page when the index is not as it was rendered."""
    shown = bridge.call(knowledge_admin.read_knowledge(runtime.get(), require_caller(), *place))
    if _make_signature(shown) != before:
        st.rerun(scope="app")

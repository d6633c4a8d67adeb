"""The text of files, and hostile ones: whatever is wrong with one is a sentence, soon, and the next one is read."""

import asyncio
import base64
import json
import os
import subprocess
import sys
import time
import zlib
from contextlib import aclosing
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import pytest

from flowground.knowledge.extraction import Extracted, ExtractionLimits, FileUnreadable, extractors
from flowground.knowledge.extraction.extractors import Extractor, Extractors, FileTooSlow
from tests.documents_of_all_kinds import join_objects, make_docx, make_pdf, pack, write_paragraph

ENCRYPTED = (
    "eNqNUjuL1FAU7hQu/ojbTLOiue+bwDDFPkZFZZYZFUQsbm7O3R0ZkyW5I7uWgr/A0s5ORKwsrOy0ES32H2hhI9pYLILgSfY1OBbmAcmX73HycX"
    "qb68ML/KIkvc9fPu0TThmt8nuk3yfJjb0doMmai25WbZFk021BQwUSxmQwIFAWLVEsCToeSa5Oi4beobLl07skWavmZaR8QSr/KW2DakDqYVJy"
    "HYqpW6120YvhaRijKd7oOIammtceh2odhhVqugdO1fGQeGFwGdGvofqv0dVSfutBksk8j91rC3KSrLoGOvfkMsweQJx6t+CiF1yG01mEGn1mLs"
    "I6+KrA37kG5Vbcpkq0oibW4O6Tnysvzj0+/2j+/PeZV+8vnX3y5uDbr68/vr975kZvJ8Pe6wO2vf/h6cuPK7fbmCPRUaBZCLyFhSZjKk5TGPaH"
    "WZnKjBWZOJ1pEl1ZuLogyYj2i9SlPIhgtcmZDAysNdIaw2zhjfUsS7XkzkvQPBjQPrDgubIy5x5YZjXWepP2jcSvOTDDdZo6BcwKqaRMC5mpkC"
    "tljEpNyFmwAtDAeWUUyAwMMJFpmw0WatytIRBGLWEnBzVaS00DPcE4lt19KU8xo5YwLuQSJjRfwqRYxpRc8Iu1m86g7qqeTB8CjpeMqwrX+HA3"
    "r6zjVvaF0alV1gHkYKSHkBmluNMs8yEHrQf/Q8F93ih9vbcTqTne0ya6OnbFYJGk19sYDckfA2QDig=="
)
"""A PDF that says Hello, encrypted with no password for who reads it, packed."""
SMALL = ExtractionLimits(file_bytes=60_000_000, text_chars=200_000, memory_bytes=600_000_000, seconds=8)


def extract(file: bytes | Path, name: str, limits: ExtractionLimits = SMALL) -> Extracted:
    async def run() -> Extracted:
        async with aclosing(Extractor(limits)) as extractor:
            return await extractor.extract(file, name)

    return asyncio.run(run())


def explain(file: bytes | Path, name: str, limits: ExtractionLimits = SMALL) -> str:
    """Why a file is not read; it takes no longer than a file may."""
    begun = time.monotonic()
    with pytest.raises(FileUnreadable) as refused:
        extract(file, name, limits)
    assert time.monotonic() - begun < limits.seconds + 30
    return refused.value.message


def test_a_pdf_is_read_page_by_page() -> None:
    read = extract(make_pdf(["Holidays are thirty days.", "Travel is paid."]), "handbook.pdf")
    assert read.kind == "pdf"
    assert read.text.split() == ["Holidays", "are", "thirty", "days.", "Travel", "is", "paid."]
    pages = {number: read.text[first:end].strip() for number, first, end in read.list_pages()}
    assert pages == {1: "Holidays are thirty days.", 2: "Travel is paid."}


def test_words_of_a_pdf_are_apart_where_they_are_set_by_their_places_alone() -> None:
    """As TeX sets them: between words is no blank, but a number."""
    words = b"BT /F1 10 Tf 60 700 Td [(The)-333(pack)10(age)-333(is)-250(not)-333(gl)20(ued)-300(tog)10(ether.)] TJ ET"
    divided = b"BT /F1 10 Tf 12 TL 60 700 Td (A word may be hyphen-) Tj T* (ated at the end.) Tj ET"
    read = extract(make_pdf([words, divided]), "manual.pdf").text
    assert read.split("\n\n") == ["The package is not glued together.", "A word may be hyphenated at the end.", ""]


def test_a_row_of_a_table_of_a_pdf_is_a_line() -> None:
    """Also where its cells are far from each other, and a letter stands a little higher."""
    rows = [("Item", "Qty", "Unit price"), ("Copy paper A4", "10", "4.50"), ("Toner", "2", "80.00")]
    cells = [
        f"q 1 0 0 1 {60 + 180 * column} {700.5 - 20 * row - column % 2} cm BT /F1 10 Tf ({text}) Tj ET Q"
        for row, texts in enumerate(rows)
        for column, text in enumerate(texts)
    ]
    read = extract(make_pdf(["\n".join(cells).encode()]), "invoice.pdf").text
    assert read.strip().split("\n") == [" ".join(texts) for texts in rows]


def test_an_encrypted_pdf_is_read_where_it_asks_for_no_password() -> None:
    pdf = zlib.decompress(base64.b64decode(ENCRYPTED))
    assert extract(pdf, "a.pdf").text == "Hello\n\n"
    for closed in (pdf.replace(b"/U <", b"/U <00", 1), pdf.replace(b"/Standard", b"/Stranger")):
        assert explain(closed, "a.pdf") == "a.pdf is protected by a password, or otherwise encrypted."


def test_a_scan_and_a_page_that_is_none_are_sentences() -> None:
    assert explain(make_pdf([b""]), "a.pdf").startswith("a.pdf holds no text: it may be a scan, whose pictures are")
    circle = [b"<< /Type /Catalog /Pages 2 0 R >>", b"<< /Type /Pages /Kids [2 0 R 2 0 R] /Count 2 >>"]
    assert explain(join_objects(circle), "a.pdf") == "a.pdf is a damaged PDF."


@pytest.mark.skipif(sys.platform == "win32", reason="has no limit on memory")
def test_a_pdf_that_unpacks_without_end_needs_too_much_memory() -> None:
    """PDFium ends its process where it gets no more."""
    packed = zlib.compress(zlib.compress(bytes(300_000_000), 9), 9)
    head = b"<< /Length %d /Filter [/FlateDecode /FlateDecode] >>" % len(packed)
    page = b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 9 9] /Contents 4 0 R >>"
    pages = [b"<< /Type /Catalog /Pages 2 0 R >>", b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>", page]
    bomb = join_objects([*pages, b"%s\nstream\n%s\nendstream" % (head, packed)])
    assert len(bomb) < 10_000
    small = ExtractionLimits(memory_bytes=250_000_000)
    assert explain(bomb, "a.pdf", small) == "a.pdf needs too much memory to be read."


def test_a_docx_keeps_headings_paragraphs_and_tables() -> None:
    cells = "".join(f"<w:tc>{write_paragraph(text)}</w:tc>" for text in ("Lyon", "120 EUR"))
    body = write_paragraph("Travel", "Heading2") + write_paragraph("Hotels &amp; trains")
    read = extract(make_docx(f"{body}<w:tbl><w:tr>{cells}</w:tr></w:tbl>"), "travel.docx")
    assert [line for line in read.text.split("\n") if line] == ["## Travel", "Hotels & trains", "Lyon | 120 EUR"]
    assert read.list_pages() == [(None, 0, len(read.text))]


def test_a_docx_is_read_with_the_names_of_its_styles_and_all_that_stands_in_it() -> None:
    space = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"
    styles = (
        f'<w:styles xmlns:w="{space}"><w:style w:styleId="berschrift2"><w:name w:val="heading 2"/></w:style></w:styles>'
    )
    inserted = "<w:p><w:ins><w:r><w:t>Inserted</w:t></w:r></w:ins></w:p>"
    controlled = f"<w:sdt><w:sdtContent>{write_paragraph('Chosen')}</w:sdtContent></w:sdt>"
    body = write_paragraph("Reisen", "berschrift2") + inserted + controlled
    document = f'<w:document xmlns:w="{space}"><w:body>{body}</w:body></w:document>'
    docx = pack({"word/document.xml": document.encode(), "word/styles.xml": styles.encode()})
    assert extract(docx, "reisen.docx").text == "## Reisen\n\nInserted\n\nChosen"


def test_drawings_are_no_part_of_the_text() -> None:
    drawing = '<a:p xmlns:a="urn:drawing"><a:r><a:t>no</a:t></a:r></a:p>'
    one = f"<w:p><w:r><w:t>One </w:t></w:r><w:r><w:drawing>{drawing}</w:drawing></w:r><w:r><w:t>line.</w:t></w:r></w:p>"
    assert extract(make_docx(one), "travel.docx").text == "One line."
    page = b"<title>Desk</title><body><p>One <svg><title>no</title><desc>no</desc></svg>line.</p></body>"
    assert extract(page, "page.html").text == "# Desk\n\nOne line."


def test_html_is_read_as_people_see_it() -> None:
    head = "<!doctype html><head><title>Travel desk</title><style>p {color: red}</style></head>"
    page = "<script>var x = 'no';</script><h2>Hotels</h2><p>Lyon&nbsp;is <b>fine</b>.<ul><li>One</li>\n<li>Two</ul>"
    page += "<table><tr><th>City<th>Price\n<tr><td>Lyon<td>120</table>After."
    text = extract(f"{head}<body>{page}</body>".encode(), "page.html").text
    lines = ["# Travel desk", "## Hotels", "Lyon is fine.", "- One", "- Two", "City Price", "Lyon 120", "After."]
    assert [line for line in text.split("\n") if line] == lines
    assert "- One\n- Two\n\nCity Price\nLyon 120\n\nAfter." in text


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ("<h1>Fees</h1>A card costs 5 euros.", "# Fees\n\nA card costs 5 euros."),
        ("<h1>Cards</h1>One costs 5 euros.", "Fees of the library\n\n# Cards\n\nOne costs 5 euros."),
        ("<h1>Fee</h1>One costs 5 euros.", "Fees of the library\n\n# Fee\n\nOne costs 5 euros."),
        ("<p>A card costs 5 euros.", "# Fees of the library\n\nA card costs 5 euros."),
    ],
    ids=["said again", "another", "letters of a word", "no heading"],
)
def test_the_title_of_a_page_stands_above_it_once(body: str, text: str) -> None:
    page = f"<head><title>Fees of\n the library</title></head><body>{body}</body>"
    assert extract(page.encode(), "page.html").text == text


def test_a_row_of_csv_says_what_its_cells_mean() -> None:
    table = extract("city;price\nLyon;120\nKöln;\n".encode("cp1252"), "hotels.csv")
    assert table.text == "city: Lyon\nprice: 120\n\ncity: Köln"


def test_json_is_read_a_part_a_line() -> None:
    read = extract('{"city":"Lyon","stars":[3]}'.encode("utf-16"), "a.json")
    assert read.text == '{\n "city": "Lyon",\n "stars": [\n  3\n ]\n}'
    said = explain(b'{"city": "Lyon",\n]', "a.json")
    assert said == "a.json is no JSON: Expecting property name enclosed in double quotes in line 2, column 1."
    assert explain(b"[" * 100_000, "deep.json") == "deep.json is nested too deeply to be read."


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "cp1252"])
def test_text_is_read_in_any_encoding(encoding: str) -> None:
    assert extract("Größe: 5 Mètres\r\nÜber alles\r".encode(encoding), "a.txt").text == "Größe: 5 Mètres\nÜber alles\n"


def test_control_characters_are_replaced_and_what_is_all_of_them_is_no_text() -> None:
    assert extract(b"one\0two " + b"words " * 50, "a.txt").text.startswith("one\ufffdtwo words")
    assert explain(bytes(range(256)) * 20, "a.md") == "a.md holds no text, whatever its name says."
    assert explain(b"  \n", "a.md") == "a.md is empty."


def test_a_wrong_name_is_a_sentence() -> None:
    pdf, docx = make_pdf(["Hello"]), make_docx(write_paragraph("Hello"))
    assert explain(pdf, "a.txt") == "a.txt is a PDF, not what its name says: rename it to end in .pdf."
    assert explain(docx, "a.pdf") == "a.pdf is a DOCX document, not what its name says: rename it to end in .docx."
    assert explain(b"Hello", "a.pdf") == "a.pdf ends in .pdf and is not a PDF: it is damaged or has a wrong name."
    assert explain(pack({"a": b"b"}), "a.docx").startswith("a.docx ends in .docx and is not a DOCX document")
    assert explain(pack({"a": b"b"}), "a.txt") == "a.txt holds no text, whatever its name says."
    said = explain(pack({"xl/workbook.xml": b"b"}), "a.xlsx")
    assert said == "a.xlsx is no kind of file that is read; pdf, docx, html, csv, json, md or txt files are."
    assert extract(pdf, "no-ending").kind == "pdf"


def test_what_is_cut_off_is_a_sentence() -> None:
    docx = make_docx("".join(write_paragraph(f"Paragraph {number} of many") for number in range(2000)))
    for kept in (len(docx) - 200, len(docx) // 2):
        assert "it is damaged or has a wrong name" in explain(docx[:kept], "a.docx")
    assert explain(make_pdf(["Hello"])[:200], "a.pdf").startswith("a.pdf ")
    broken = make_docx("<w:p><w:r></w:p>")
    assert explain(broken, "a.docx") == "a.docx is a DOCX document that is damaged, cut off or encrypted."


def test_a_zip_bomb_ends_at_the_limits_of_the_process_or_at_the_text_that_is_wanted() -> None:
    for body in (write_paragraph("a" * 400_000_000), "<w:p/>" * 90_000_000):
        bomb = make_docx(body)
        assert len(bomb) < 1_000_000
        assert explain(bomb, "bomb.docx").startswith("bomb.docx ")
    read = extract(make_docx(write_paragraph("a" * 1_000) * 100_000), "bomb.docx")
    assert read.is_cut
    assert len(read.text) == SMALL.text_chars


def test_entities_of_a_document_are_not_replaced() -> None:
    lines = "".join(f'<!ENTITY e{n} "{f"&e{n - 1};" * 10}">' for n in range(1, 12))
    bomb = make_docx(write_paragraph("&e11;"), before=f'<!DOCTYPE w [<!ENTITY e0 "boom">{lines}]>')
    outside = make_docx(write_paragraph("&x;"), before='<!DOCTYPE w [<!ENTITY x SYSTEM "file:///etc/passwd">]>')
    for document in (bomb, outside):
        assert explain(document, "a.docx").startswith("a.docx is ")


def test_a_pdf_that_never_ends_or_refers_to_itself_is_a_sentence() -> None:
    assert explain(make_pdf([b"BT (a) Tj ET " * 40_000_000]), "a.pdf").startswith("a.pdf ")
    own = b"/Resources << /XObject << /X 4 0 R >> >>"
    pages = [b"<< /Type /Catalog /Pages 2 0 R >>", b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>"]
    page = b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 9 9] %s /Contents 5 0 R >>" % own
    form = b"<< /Type /XObject /Subtype /Form /BBox [0 0 9 9] %s /Length 11 >>\nstream\n/X Do /X Do\nendstream" % own
    drawn = [*pages, page, form, b"<< /Length 5 >>\nstream\n/X Do\nendstream"]
    assert explain(join_objects(drawn), "a.pdf").startswith("a.pdf ")


def test_what_is_no_plain_file_is_not_read(tmp_path: Path) -> None:
    pipe, link = tmp_path / "pipe.txt", tmp_path / "link.txt"
    os.mkfifo(pipe)
    link.symlink_to("/etc/passwd")
    assert explain(pipe, "pipe.txt") == "pipe.txt is no plain file."
    assert explain(Path("/dev/zero"), "zero.txt") == "zero.txt is no plain file."
    assert explain(link, "link.txt").startswith("link.txt cannot be read: ")
    assert explain(tmp_path / "none.txt", "none.txt") == "none.txt cannot be read: No such file or directory."


def test_a_long_text_is_cut_and_a_large_file_refused(tmp_path: Path) -> None:
    long = tmp_path / "long.txt"
    long.write_bytes("Ä line of text.\n".encode() * 3_125_000)
    assert long.stat().st_size > 50_000_000
    read = extract(long, "long.txt")
    assert read.is_cut
    assert len(read.text) == SMALL.text_chars
    small = ExtractionLimits(file_bytes=1_000_000)
    for file in (long, bytes(1_000_001)):
        assert explain(file, "a.txt", small) == "a.txt has more than 1,000,000 bytes, the most that is read of a file."


@pytest.mark.skipif(sys.platform == "win32", reason="has no limit on memory")
def test_memory_and_time_are_limited_and_the_next_file_is_read() -> None:
    """A page whose cells never end, under limits that it cannot keep."""
    slow = b"<div>" * 8_000_000
    tight = ExtractionLimits(memory_bytes=200_000_000, seconds=2)

    async def read_three() -> str:
        async with aclosing(Extractor(tight)) as extractor:
            for name, data in (("a.html", slow), ("a.json", json.dumps([[1]] * 5_000_000).encode())):
                with pytest.raises(FileUnreadable, match=f"^{name} "):
                    await extractor.extract(data, name)
            return (await extractor.extract(b"Hello", "small.txt")).text

    assert asyncio.run(read_three()) == "Hello"


def test_the_child_knows_no_environment_and_ends_with_who_asks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET_KEY", "swordfish")

    async def look() -> tuple[int, bytes]:
        async with aclosing(Extractor()) as extractor:
            await extractor.extract(b"Hello", "a.txt")
            child = extractor._child
            assert child is not None
            environment = Path(f"/proc/{child.pid}/environ")
            return child.pid, environment.read_bytes()  # noqa: ASYNC240 - at once

    if not Path("/proc/self/environ").exists():
        pytest.skip("needs /proc")
    pid, environment = asyncio.run(look())
    assert b"swordfish" not in environment
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_who_asks_imports_no_reader() -> None:
    """A mistake in a reader of PDF or XML cannot reach the process that serves."""
    readers = {"pypdfium2", "lxml", "zipfile", "xml.parsers.expat"}
    code = f"import sys, flowground.knowledge.extraction.extractors; print({readers} & {{*sys.modules}})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_a_call_that_is_cancelled_ends_its_child() -> None:
    slow = make_pdf([b"BT (a) Tj ET " * 3_000_000])

    async def cancel() -> bool:
        async with aclosing(Extractor()) as extractor:
            task = asyncio.create_task(extractor.extract(slow, "slow.pdf"))
            while extractor._child is None:  # noqa: ASYNC110 - a state of the child, of which nobody is notified
                await asyncio.sleep(0.001)
            task.cancel()
            await asyncio.wait([task], timeout=60)
            return task.cancelled() and extractor._child is None

    assert asyncio.run(cancel())


SLOW = b"a,b\n" + b",\n" * 24_000_000
"""Rows without a text, of which none is the last that is wanted."""


async def test_files_that_take_long_keep_those_of_others_from_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(extractors, "_QUICK", 1.0)
    asked = Extractors(ExtractionLimits(seconds=600))
    slow = [asyncio.create_task(asked.extract(SLOW, "slow.csv")) for _ in range(3)]
    try:
        await asyncio.sleep(0)
        found = await asyncio.wait_for(asked.extract(b"Hello", "soon.txt"), 300)
        assert found.text == "Hello"
        assert not any(task.done() for task in slow)
    finally:
        for task in slow:
            task.cancel()
        await asyncio.wait(slow)
        await asked.close()


@dataclass
class Reader:
    """Takes the place of a child: `slow` is too slow where there is little time, `hostile` is everywhere."""

    limits: ExtractionLimits
    reads: ClassVar[list[str]] = []

    async def extract(self, data: bytes, name: str) -> Extracted:
        self.reads.append(name)
        await asyncio.sleep(0.01)
        if name == "hostile" or (name == "slow" and self.limits.seconds < 10):
            raise FileTooSlow(f"{name} takes longer.")
        return Extracted(data.decode(), "txt", "")


@pytest.fixture
def readers(monkeypatch: pytest.MonkeyPatch) -> Extractors:
    monkeypatch.setattr(extractors, "Extractor", Reader)
    Reader.reads.clear()
    return Extractors(ExtractionLimits(seconds=20))


async def test_people_have_their_turns_however_many_files_they_send_and_bytes_wait_outside(readers: Extractors) -> None:
    opened: list[str] = []

    async def read(whose: str, name: str) -> None:
        async def open_file() -> bytes:
            opened.append(whose)
            return b""

        await readers.extract(open_file, name, whose=whose)

    many = [asyncio.create_task(read("eve", "slow")) for _ in range(20)]
    await asyncio.sleep(0)
    assert opened == ["eve"] * 2
    await read("mia", "small")
    assert opened.count("eve") <= 4
    await asyncio.gather(*many)
    many = [asyncio.create_task(read("eve", "small")) for _ in range(5)]
    await asyncio.sleep(0)
    for task in many[:3]:
        task.cancel()
    await asyncio.gather(*many, return_exceptions=True)
    await read("mia", "small")


async def test_what_took_too_long_is_remembered_and_one_persons_slow_files_have_an_end(
    readers: Extractors, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(3):
        with pytest.raises(FileTooSlow):
            await readers.extract(b"", "hostile", whose="eve", digest="ab")
    assert Reader.reads == ["hostile"] * 2
    monkeypatch.setattr(extractors, "_MOST", 0)
    with pytest.raises(FileTooSlow, match="Try again in ten minutes"):
        await readers.extract(b"", "slow", whose="eve", digest="cd")
    assert (await readers.extract(b"a", "small", whose="eve")).text == "a"
    assert (await readers.extract(b"b", "slow", whose="mia", digest="cd")).text == "b"

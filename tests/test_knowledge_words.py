"""Words of many languages are found, in the forms in which people ask for them."""

import asyncio
from pathlib import Path

import pytest

from flowground.knowledge import Knowledge, KnowledgeSources
from flowground.knowledge.index_folder import IndexFolder

TEXTS = {
    "en": "Employees may carry over five days of annual leave into the following year.",
    "de": "Die Kündigungsfrist beträgt drei Monate. Urlaubsanträge gehen an die Personalabteilung.",
    "de2": "Verträge werden von zwei Personen unterschrieben; die Häuser stehen in Köln.",
    "de3": "Die Straße hat einen Fußweg von gewisser Größe.",
    "fr": "Les congés payés sont demandés à la responsable; l'hôtel coûte cent euros.",
    "es": "Las vacaciones se solicitan con dos semanas de antelación; el año fiscal empieza en enero.",
    "pl": "Urlop wypoczynkowy należy zgłosić przełożonemu; umowy są podpisywane w Łodzi.",
    "ru": "Отпуск согласуется с руководителем; договоры подписываются в Москве.",
    "el": "Η άδεια ζητείται από τον προϊστάμενο και εγκρίνεται σε δύο ημέρες.",
    "tr": "Yıllık izin talepleri yöneticiye iletilir; sözleşmeler İstanbul'da imzalanır.",
    "zh": "员工每年享有十五天带薪年假，申请须提前两周提交给经理。",
    "ja": "有給休暇は年に二十日です。申請は二週間前に上司へ提出してください。",
    "ko": "연차휴가는 일년에 십오일이며 신청서는 이주 전에 제출합니다.",
    "th": "พนักงานมีสิทธิลาพักร้อนปีละสิบห้าวัน",
    "ar": "يحق للموظف إجازة سنوية مدتها ثلاثون يوما، ويقدم الطلب إلى المدير.",
    "hi": "कर्मचारी को वार्षिक छुट्टी मिलती है",
}
ASKED = [
    ("en", "annual leave"), ("en", "employee"), ("en", "carrying"), ("en", "Which year follows?"),
    ("de", "Kündigungsfrist"), ("de", "Kundigungsfrist"), ("de", "Frist"), ("de", "Urlaubsantrag"), ("de", "Urlaub"),
    ("de", "Anträge"), ("de2", "Vertrag"), ("de2", "Haus"), ("de2", "Häusern"), ("de2", "Vertragspersonen"),
    ("de", "Kuendigungsfrist"), ("de", "Urlaubsantraege"), ("de2", "Vertraege"),
    ("de2", "Wie heissen die Haeuser in Koeln?"),
    ("de3", "Strasse"), ("de3", "Straße"), ("de3", "Fussweg"), ("de3", "Groesse"), ("de3", "Fuß"),
    ("fr", "congés"), ("fr", "conges"), ("fr", "Comment demander un hôtel ?"), ("es", "vacación"),
    ("es", "¿Cuándo es el año?"),
    ("pl", "urlopu"), ("pl", "umowa"), ("ru", "отпуска"), ("ru", "договор"), ("el", "αδεια"), ("tr", "izin"),
    ("tr", "sözleşme"), ("zh", "年假"), ("zh", "如何申请年假？"), ("zh", "经理"), ("ja", "有給休暇"),
    ("ja", "休暇の申請"),
    ("ko", "휴가"), ("ko", "연차휴가를 신청"), ("th", "ลาพักร้อน"), ("ar", "إجازة"), ("ar", "الإجازة"), ("ar", "طلب"),
    ("ar", "مدير"), ("hi", "छुट्टी"), ("hi", "वार्षिक"),
]  # fmt: skip


SHORT = {
    "ci": "# npm ci\n\nThis command is like npm install, and meant for continuous integration: npm ci removes what is"
    " installed, and installs what the lock file says.",
    "bin": "# bin\n\nExecutables are linked into the path: the bin field is a map of command to file. What bin names"
    " begins with a line that says which program runs it.",
    "man": "# man\n\nThe man field is a file, or several, that the program man finds: man pages end in a number.",
    "mit": "# Licences\n\nMost are under the MIT licence or a like one; what the MIT licence asks for is its text.",
    "dos": "# Line ends\n\nA file of DOS ends its lines with two characters; those of DOS are kept as they are.",
    "it": "# Help\n\nThe IT department answers from eight to five. Whoever writes to IT says which computer it is.",
    "us": "# Customers\n\nOrders of US customers are sent from Ohio, and US customers pay in dollars.",
    "may": "# Reports\n\nThe report of May lacks two weeks: in May nothing was counted.",
}
"""Words that are common in one language and name something in another."""
SHORT["elk"] = "# Logs\n\nLogs can be read by ELK as they are."
ASKED_SHORT = [
    ("elk", "What is ELK?"),
    ("ci", "What does npm ci do?"), ("bin", "What does the bin field do?"), ("man", "What is the man field for?"),
    ("mit", "What does the MIT licence ask for?"), ("dos", "Does a DOS file end its lines in another way?"),
    ("it", "When does the IT department answer?"), ("us", "How do US customers pay?"),
    ("may", "What is wrong with the report of May?"),
]  # fmt: skip
BESIDE = [
    f"# npm {verb}{number}: field, file, licence, department, customers, report\n\nWhat does npm {verb}{number} do? Its"
    " field in the file says how this is done, and which department answers. What the licence does not ask for is wrong"
    " in the report that customers pay for in another way, when one ends."
    for verb in ("update", "publish", "audit", "prune")
    for number in range(15)
]


@pytest.fixture(scope="module")
def short(tmp_path_factory: pytest.TempPathFactory) -> Knowledge:
    """Eight short words, each in one text, among sixty that have all the others of the questions."""
    folder = tmp_path_factory.mktemp("short")
    for name, text in (*SHORT.items(), *((f"other{at}", text) for at, text in enumerate(BESIDE))):
        (folder / f"{name}.md").write_text(text, "utf-8")
    made = Knowledge("short", IndexFolder(folder / "kept"))
    asyncio.run(made.index(KnowledgeSources(folder, ("*.md",))))
    return made


@pytest.mark.parametrize(("word", "question"), ASKED_SHORT)
def test_a_word_that_is_common_elsewhere_is_found_where_it_is_rare(short: Knowledge, word: str, question: str) -> None:
    hits = asyncio.run(short.search(question))
    assert hits[0].source == f"{word}.md", [(hit.source, hit.score) for hit in hits]
    scores = [hit.score for hit in hits]
    assert 0.2 < scores[0] <= 1
    assert scores == sorted(scores, reverse=True)


def test_passages_of_one_section_stand_in_the_order_of_their_scores(tmp_path: Path) -> None:
    """A second passage of a section makes room for another one's; its score stays what it is."""
    pages = [f"Hotels in Lyon cost {number} euros, and hotels of Nice more. " * 12 for number in range(4)]
    (tmp_path / "one.md").write_text("# Hotels\n\n" + "\n\n".join(pages), "utf-8")
    (tmp_path / "two.md").write_text("# Prices\n\n" + "A bed in one of the hotels in Lyon is cheap, as one sees. " * 3)
    knowledge = Knowledge("hotels", IndexFolder(tmp_path / "kept"))
    asyncio.run(knowledge.index(KnowledgeSources(tmp_path, ("*.md",))))
    hits = asyncio.run(knowledge.search("hotels in Lyon"))
    assert len({hit.source for hit in hits}) == 2
    assert len(hits) > 3
    assert [hit.score for hit in hits] == sorted((hit.score for hit in hits), reverse=True)
    (tmp_path / "two.md").unlink()
    (tmp_path / "one.md").write_text("\n\n".join(f"Hotels in Lyon cost {100 + at} euros. " * 20 for at in range(60)))
    asyncio.run(knowledge.index(KnowledgeSources(tmp_path, ("*.md",))))
    for threshold in (0.0, 0.3):
        alike = asyncio.run(knowledge.search("hotels in Lyon", top_k=50, threshold=threshold))
        assert (len(alike), len({round(hit.score, 6) for hit in alike})) == (50, 1)


@pytest.fixture(scope="module")
def knowledge(tmp_path_factory: pytest.TempPathFactory) -> Knowledge:
    folder = tmp_path_factory.mktemp("words")
    for name, text in TEXTS.items():
        (folder / f"{name}.txt").write_text(text, "utf-8")
    made = Knowledge("words", IndexFolder(folder / "kept"))
    asyncio.run(made.index(KnowledgeSources(folder, ("*.txt",))))
    return made


@pytest.mark.parametrize(("language", "question"), ASKED)
def test_a_word_is_found_in_its_language(knowledge: Knowledge, language: str, question: str) -> None:
    hits = asyncio.run(knowledge.search(question, top_k=3))
    assert [hit.source for hit in hits][:1] == [f"{language}.txt"], [hit.source for hit in hits]


@pytest.mark.parametrize(
    "question",
    ["", "   ", "???", '"', "AND OR NOT", "a" * 100_000, "NEAR(a b)", "x* ^y", "the", "a\0b", "🙂", "\ud800"],
)
def test_no_question_is_a_mistake(knowledge: Knowledge, question: str) -> None:
    assert len(asyncio.run(knowledge.search(question))) <= 5

"""Words of many languages are found, in the forms in which people ask for them."""

import asyncio
import tracemalloc
from collections.abc import Iterator

import pytest

from flowground.knowledge import Knowledge, KnowledgeSources
from flowground.knowledge.table_words import TableWords
from tests.knowledge_homes import open_homes
from tests.store_databases import DATABASES

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


@pytest.fixture(scope="module", params=DATABASES)
def knowledge(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Knowledge]:
    folder = tmp_path_factory.mktemp("words")
    for name, text in TEXTS.items():
        (folder / f"{name}.txt").write_text(text, "utf-8")
    with open_homes(request.param, folder / "kept") as homes:
        made = Knowledge("words", homes.open("words"))
        asyncio.run(made.index(KnowledgeSources(folder, ("*.txt",))))
        yield made


@pytest.mark.parametrize(("language", "question"), ASKED)
def test_a_word_is_found_in_its_language(knowledge: Knowledge, language: str, question: str) -> None:
    hits = asyncio.run(knowledge.search(question, top_k=3))
    assert [hit.source for hit in hits][:1] == [f"{language}.txt"], [hit.source for hit in hits]


@pytest.mark.parametrize("question", ["Dreieckig", "Zweisamkeit", "fivefold", "birthdays", "yearbook"])
def test_a_short_part_of_a_word_does_not_stand_for_it(knowledge: Knowledge, question: str) -> None:
    assert asyncio.run(knowledge.search(question)) == []


@pytest.mark.parametrize(
    "question",
    ["", "   ", "???", '"', "AND OR NOT", "a" * 100_000, "NEAR(a b)", "x* ^y", "the", "a\0b", "🙂", "\ud800"],
)
def test_no_question_is_a_mistake(knowledge: Knowledge, question: str) -> None:
    assert len(asyncio.run(knowledge.search(question))) <= 5


def test_words_kept_in_memory_are_counted_and_looked_into() -> None:
    words = sorted(["haus", "hausen", "hauser", "haustur", "rat", "rathaus", "休"])
    kept = TableWords("\n".join(words), " ".join(str(number) for number, _ in enumerate(words, 1)))
    assert (kept.count("haus"), kept.count("休"), kept.count("hau"), kept.count("zoo")) == (1, 7, 0, 0)
    assert kept.count_from("haus", 3) == {"haus": 1, "hausen": 2, "hauser": 3}
    assert kept.count_from("rat", 9) == {"rat": 5, "rathaus": 6}
    assert kept.list_with("haus", 4) == ["haus", "hausen", "hauser", "haustur"]
    assert kept.list_with("thau", 4) == ["rathaus"]
    nothing = TableWords("", "")
    assert (nothing.count("haus"), nothing.count_from("h", 3), nothing.list_with("haus", 3)) == (0, {}, [])


def test_words_are_read_into_memory_without_one_object_each() -> None:
    words, counts = "\n".join(f"w{number:06}" for number in range(100_000)), " ".join(["3"] * 100_000)
    tracemalloc.start()
    kept = TableWords(words, counts)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert kept.count("w099999") == 3
    assert most < 40 * 100_000

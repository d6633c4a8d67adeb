"""Files at the composer: added, sent, shown in the chat, opened, saved and taken out again."""

import io
from typing import Any

from PIL import Image

from tests.acme import enter_as
from tests.api_pane import code_of
from tests.open_page import FilePayload, Page, answers, composer, go, messages, still
from tests.servers import PUBLIC, SHARED, AppServer, House
from tests.test_store_shared_chats import NOTES as NOTES_DOWN

TAKES = """\
name: Takes
chat: {accepts: [image/*, application/pdf, text/plain]}
components:
  In: {type: ChatInput}
  Out: {type: ChatOutput, input_value: "${In} with ${In.files}"}
"""
UNASKED = TAKES.replace("chat: {accepts: [image/*, application/pdf, text/plain]}\n", "")
HOUSE = House(
    flows={"takes": TAKES, "notes": NOTES_DOWN, "none": UNASKED},
    config={
        "sharing": {"allow_public": True, "public": {"file_bytes": 20_000}},
        "limits": {"file_bytes": 90_000, "message_files": 4},
    },
    shared={"takes": PUBLIC, "none": SHARED},
)


def draw_png(color: tuple[int, int, int]) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (320, 240), color).save(file, "png")
    return file.getvalue()


def name_file(name: str, data: bytes, kind: str = "") -> FilePayload:
    return {"name": name, "mimeType": kind or "application/octet-stream", "buffer": data}


GREEN = name_file("green.png", draw_png((30, 140, 90)), "image/png")
BLUE = name_file("blue.png", draw_png((40, 90, 190)), "image/png")
NOTES = name_file("notes.txt", b"Buy bread.", "text/plain")


def add(page: Page, *files: FilePayload) -> None:
    with page.expect_file_chooser() as chooser:
        page.get_by_role("button", name="Add files").click()
    chooser.value.set_files(list(files))


def added(page: Page) -> Any:
    return page.get_by_role("list", name="Files of your message").get_by_role("listitem")


def wait_for(page: Page, *states: str) -> None:
    told = "[...document.querySelectorAll('.fg-added li')].map((one) => one.dataset.state).join()"
    page.wait_for_function(f"{told} === '{','.join(states)}'")


def send(page: Page, text: str = "") -> None:
    composer(page).fill(text)
    page.get_by_role("button", name="Send").click()
    answers(page).last.locator(".fg-footer").wait_for()
    still(page)


def give(page: Page, how: str, name: str, kind: str, text: str) -> None:
    """A file by the mouse or the clipboard, to the composer."""
    composer(page).evaluate(
        """(box, [how, name, kind, text]) => {
          const given = new DataTransfer();
          given.items.add(new File([text], name, {type: kind}));
          const bubbles = true, cancelable = true;
          const event = how === "paste" ? new ClipboardEvent("paste", {clipboardData: given, bubbles, cancelable})
            : new DragEvent(how, {dataTransfer: given, bubbles, cancelable});
          box.dispatchEvent(event);
        }""",
        [how, name, kind, text],
    )


def enter(page: Page, house: AppServer, flow: str = "takes", user: str = "bob") -> Page:
    composer(go(enter_as(page, house, user), f"{house.url}/playground?flow={flow}")).wait_for()
    return page


def test_files_are_sent_shown_there_again_after_a_reload_and_in_the_code(house: AppServer, page: Page) -> None:
    add(enter(page, house, user="augusta"), GREEN, NOTES)
    wait_for(page, "there", "there")
    send(page, "Look")
    assert added(page).count() == 0
    assert "Look with green.png, notes.txt" in answers(page).last.inner_text()
    for _ in range(2):
        question = messages(page).first
        question.get_by_role("link", name="Open green.png").wait_for()
        page.wait_for_function("document.querySelector('.fg-sent img').naturalWidth === 320")
        with page.expect_download() as saved:
            question.get_by_role("link", name="notes.txt").click()
        assert saved.value.suggested_filename == "notes.txt"
        assert saved.value.path().read_bytes() == b"Buy bread."
        page.reload()
        still(page)
    page.get_by_role("button", name="Copy as code").click()
    page.get_by_text("The code uploads green.png, notes.txt from the folder").wait_for()
    dialog = page.get_by_role("dialog")
    code = code_of(dialog, "Python").inner_text()
    assert 'parser.add_argument("--file", nargs="*", default=["green.png", "notes.txt"])' in code
    assert "files.append(" in code
    dialog.get_by_role("button", name="Try it").click()
    dialog.get_by_text("Look with green.png, notes.txt", exact=True).first.wait_for()
    page.reload()
    messages(page).first.get_by_role("link", name="Open green.png").wait_for()


def test_a_message_that_the_flow_stored_stands_under_its_name(house: AppServer, page: Page) -> None:
    send(enter(page, house, "notes", user="augusta"), "Bread")
    for _ in range(2):
        noted = answers(page).last
        noted.get_by_text("Noted: Bread").wait_for()
        assert noted.get_by_text("Clerk", exact=True).is_visible()
        assert answers(page).first.get_by_text("You said Bread.").is_visible()
        assert answers(page).count() == 2
        page.reload()
        still(page)


def test_a_picture_opens_whole_in_a_tab_of_its_own(house: AppServer, page: Page) -> None:
    add(enter(page, house), GREEN, BLUE)
    wait_for(page, "there", "there")
    send(page)
    with page.expect_popup() as opened:
        page.get_by_role("link", name="Open green.png").click()
    opened.value.wait_for_function("document.images[0]?.naturalWidth === 320")


def test_one_drops_and_pastes_files_and_takes_them_out(house: AppServer, page: Page) -> None:
    give(enter(page, house), "dragover", "a.txt", "text/plain", "one")
    page.get_by_text("Add images, PDF or plain text").wait_for()
    give(page, "drop", "a.txt", "text/plain", "one")
    give(page, "paste", "b.txt", "text/plain", "two")
    wait_for(page, "there", "there")
    assert page.locator(".fg-drop").is_hidden()
    page.get_by_role("button", name="Remove a.txt").click()
    assert page.get_by_role("button", name="Remove b.txt").evaluate("one => one === document.activeElement")
    wait_for(page, "there")
    page.reload()
    wait_for(still(page), "there")
    assert "b.txt" in added(page).inner_text()
    send(page)
    assert "with b.txt" in answers(page).last.inner_text()


def test_what_does_not_fit_is_a_sentence_at_the_file(house: AppServer, page: Page) -> None:
    add(enter(page, house), name_file("large.txt", b"x" * 90_001), name_file("a.zip", b"PK\3\4 zip"), NOTES)
    wait_for(page, "failed", "failed", "there")
    assert "It is over 90 kB." in added(page).nth(0).inner_text()
    assert "this flow takes images, PDF or plain text" in added(page).nth(1).inner_text()
    add(page, NOTES, NOTES, NOTES, NOTES)
    page.get_by_text("A message takes 4 files at most.").wait_for()
    wait_for(page, "failed", "failed", "there", "there", "there", "there")
    send(page, "Only what fits")
    assert "with notes.txt, notes.txt, notes.txt, notes.txt" in answers(page).last.inner_text()


def test_a_flow_that_takes_none_has_no_button_and_says_so(house: AppServer, page: Page) -> None:
    enter(page, house, "none")
    assert page.get_by_role("button", name="Add files").count() == 0
    give(page, "drop", "a.txt", "text/plain", "one")
    page.get_by_role("alert").get_by_text("This flow takes no files.").wait_for()
    assert added(page).count() == 0


def test_a_visitor_sends_files_by_keyboard(house: AppServer, page: Page) -> None:
    page.set_viewport_size({"width": 390, "height": 844})
    composer(go(page, f"{house.url}/public_flow/takes")).wait_for()
    add(page, GREEN, name_file("large.txt", b"x" * 20_001))
    wait_for(page, "there", "failed")
    composer(page).press("Enter")
    answers(page).last.get_by_text("with green.png").wait_for()
    page.reload()
    still(page).wait_for_function("document.querySelector('.fg-sent img')?.naturalWidth === 320")

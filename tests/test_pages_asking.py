"""The API access pane of a flow whose tools ask a person first, without a browser."""

from pathlib import Path

from tests.acting import ASKING_FIRST, SUM
from tests.app_page import find_by_label, open_script, read
from tests.in_process import runtime_of
from tests.servers import write_folder

PLAIN = 'components:\n  In: {type: ChatInput}\n  Out: {type: ChatOutput, input_value: "${In}"}\n'


def test_the_pane_says_where_a_decision_goes_and_why_a_try_is_refused(tmp_path: Path) -> None:
    flows = {"careful": ASKING_FIRST, "plain": PLAIN}
    with runtime_of(write_folder(tmp_path, config={"default_model": "scripted"}, flows=flows)):
        at = open_script("api_access", flow="careful")
        assert "/api/v1/runs/{run_id}/decisions" in read(at)
        assert "*Try it* asks nobody" in read(at)
        at.text_input(key="try:careful:message").input(SUM)
        find_by_label(at.button, "Try it").click().run()
        assert "Nobody is there who could allow it" in read(at)
        assert "/decisions" not in read(open_script("api_access", flow="plain"))

"""What went on inside for an answer, for who may see that: each step with what it took, and the flows that it ran."""

from collections.abc import Mapping, Sequence
from typing import Any

from flowground.conversation.acted import Written, write_tokens
from flowground.events import Action, ComponentFinished, InnerRun, ToolReturned
from flowground.flow import WHEN
from flowground.messages import mend
from flowground.wiring import WiredFlow
from flowground.words import cut

_FIELD_CHARS = 1_000
_ALL_FIELDS = 40_000
"""Characters of what fields hold, of all steps together; of those beyond there are the names."""
_MOST_SOURCES = 20


def write_steps(trace: Sequence[ComponentFinished], wired: WiredFlow) -> list[Written]:
    """In the order of their ends. `wired` is the flow as it is now: its file may have been another one then."""
    flows = {wired.id: wired} | {inner.id: inner for inner in wired.inner_flows.values()}
    return _StepsWriter(flows).write(trace, wired)


def write_called(actions: Sequence[Action]) -> list[Written]:
    """The tools of the flow itself that were called: how the last call of each ended, and how long all of them took."""
    told: dict[str, Written] = {}
    for action in actions:
        if isinstance(action, ToolReturned) and not action.called.is_inner:
            name, before = action.called.tool, told.get(action.called.tool)
            seconds = action.seconds + (before["seconds"] if before else 0)
            told[name] = {"id": name, "status": "done" if action.status == "done" else "failed", "seconds": seconds}
    return [*told.values()]


class _StepsWriter:
    def __init__(self, flows: Mapping[str, WiredFlow]) -> None:
        self._flows, self._left = flows, _ALL_FIELDS

    def write(self, trace: Sequence[ComponentFinished], wired: WiredFlow | None) -> list[Written]:
        return [self._write_step(step, wired) for step in trace]

    def _write_step(self, step: ComponentFinished, wired: WiredFlow | None) -> Written:
        name = wired.display_names.get(step.component_id) if wired else None
        written: Written = {
            "id": step.component_id,
            "name": name or step.component_id,
            "type": step.type,
            "at": step.at,
            "seconds": step.seconds,
            "model": step.model,
            "tokens": write_tokens(step.usage),
            "text": mend(step.text),
            "status": step.status,
            "takes": self._write_takes(step.component_id, wired) if wired else [],
        }
        if step.note:
            written["note"] = mend(step.note)
        if step.inner_count:
            written |= {"inner": [self._write_inner(run) for run in step.inner], "inner_count": step.inner_count}
        return written

    def _write_inner(self, run: InnerRun) -> Written:
        steps = self.write(run.steps, self._flows.get(run.flow_id))
        error = None if run.error is None else mend(run.error)
        told = {"flow": run.flow_id, "name": run.name, "at": run.at, "seconds": run.seconds}
        return told | {"error": error, "steps": steps}

    def _write_takes(self, name: str, wired: WiredFlow) -> list[Written]:
        """The fields that references fill: as they stand in the file, and where what fills them comes from."""
        if name not in wired.components:
            return []
        spec, taken = wired.flow.components[name], []
        for field, text in wired.connections.get(name, {}).items():
            sources = dict.fromkeys((one.component, wired.find_port(one), one.is_optional) for one in text.references)
            taken.append(
                {
                    "field": field,
                    "text": self._cut(spec.step.when if field == WHEN else spec.fields.get(field)),
                    "from": [
                        {"id": source, "port": port, "is_optional": is_optional, "name": wired.display_names[source]}
                        for source, port, is_optional in [*sources][:_MOST_SOURCES]
                    ],
                }
            )
        return taken

    def _cut(self, value: Any) -> str:
        text = cut(value, min(_FIELD_CHARS, self._left)) if isinstance(value, str) and self._left > 1 else ""
        self._left -= len(text)
        return text

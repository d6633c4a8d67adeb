"""What a page asks of the conversation that it shows: to open it, to say something, to ask anew, to choose, to stop."""

from collections.abc import Sequence
from typing import assert_never

from flowground import doors, own_runs
from flowground.access import feedback
from flowground.access.feedback import RatedPlace
from flowground.asking import PersonChatting
from flowground.caller import InputType, RunRequest
from flowground.conversation import history
from flowground.conversation.acted import Written
from flowground.conversation.elsewhere import FollowedRun
from flowground.conversation.frames import (
    AgainFrame,
    ChooseFrame,
    ClientFrame,
    DecideFrame,
    EarlierFrame,
    EditFrame,
    OpenFrame,
    RateFrame,
    SayFrame,
    StepsFrame,
    StopFrame,
    TweaksFrame,
)
from flowground.conversation.history import ConversationPlace
from flowground.conversation.shown import ShownConversation
from flowground.conversation.steps import write_called, write_steps
from flowground.conversation.written import write_refusal
from flowground.errors import (
    AnswerUnfinished,
    FlowgroundError,
    FlowNotFound,
    InvalidRequest,
    NotSignedIn,
    RunNotFound,
)
from flowground.overrides import drop_inputs, drop_secrets
from flowground.own_runs import DecidedCall
from flowground.runner.approvals import NothingWaits
from flowground.runtime import Runtime
from flowground.store.runs import versions
from flowground.values import find_zone


class AskingPage:
    """On the runtime's loop. `came_from` is its address, where limits count one; `time_zone` what its browser says."""

    def __init__(self, runtime: Runtime, shown: ShownConversation, *, came_from: str, time_zone: str) -> None:
        self._runtime, self._shown, self._came_from = runtime, shown, came_from
        self._time_zone = time_zone if find_zone(time_zone) else ""

    async def answer(self, frame: ClientFrame) -> None:
        """Does what the page asks. Raises NotSignedIn and FlowNotFound; what else fails is told."""
        if not isinstance(frame, TweaksFrame | SayFrame):  # who says something is checked where it is begun
            await self._shown.check()
        match frame:
            case OpenFrame():
                self._shown.hold_tweaks(frame.tweaks)
                await self._shown.open(frame.session, frame.after)
            case TweaksFrame():
                self._shown.hold_tweaks(frame.tweaks)
                await self._shown.tell_note()
            case SayFrame():
                await self._say_or_refuse(frame, frame.text, files=frame.files)
            case AgainFrame() | EditFrame():
                await self._ask_anew(self._require(frame.session), frame)
            case StopFrame():
                await self._stop(frame.run)
            case DecideFrame():
                await self._decide(frame)
            case _:
                await self._answer_about(self._require(frame.session), frame)

    async def _answer_about(
        self, place: ConversationPlace, frame: ChooseFrame | StepsFrame | EarlierFrame | RateFrame
    ) -> None:
        """What is asked of a message that is there."""
        match frame:
            case ChooseFrame():
                await self._choose(place, frame.message)
            case StepsFrame():
                await self._tell_steps(place, frame.message)
            case EarlierFrame():
                await self._shown.tell_earlier(place, frame.before)
            case RateFrame():
                await self._rate(place, frame)
            case _:
                assert_never(frame)

    async def _say_or_refuse(
        self,
        frame: SayFrame | AgainFrame | EditFrame,
        text: str,
        *,
        files: Sequence[str] = (),
        version_of: str | None = None,
    ) -> None:
        try:
            place = self._require(frame.session)
            if not text.strip() and not files:
                raise InvalidRequest("There is nothing to send.")
            if frame.tweaks:
                await self._shown.check()  # what of them goes along depends on the flow as it is now
            self._shown.check_tweaks(frame.tweaks)
            self._shown.hold_tweaks(frame.tweaks)
            telling = self._shown.telling
            if isinstance(telling, FollowedRun) and not telling.is_over:
                raise AnswerUnfinished
            if await history.read_elsewhere(self._runtime, place):
                await self._shown.check()
                self._shown.tell("refused", id=frame.id, **write_refusal(AnswerUnfinished()))
                await self._shown.tell_anew(place, through=None, is_own=True)
                return
            await self._say(place, frame, text, files, version_of)
        except (NotSignedIn, FlowNotFound):
            raise
        except FlowgroundError as error:
            self._shown.tell("refused", id=frame.id, **write_refusal(error))

    async def _say(
        self,
        place: ConversationPlace,
        frame: SayFrame | AgainFrame | EditFrame,
        text: str,
        files: Sequence[str],
        version_of: str | None,
    ) -> None:
        shown = self._shown
        kind: InputType = "chat" if shown.wired.chat_input else "text"
        tweaks = drop_inputs(shown.wired, frame.tweaks, input_type=kind)
        request = RunRequest(
            input_value=text,
            input_type=kind,
            session_id=place.session_id,
            stream=True,
            tweaks=tweaks,
            kept_overrides=drop_secrets(shown.wired, tweaks),
            version_of=version_of,
            files=tuple(files),
            time_zone=self._time_zone,
        )
        person = PersonChatting(shown.caller, place.session_id, self._came_from, tries_draft=not shown.is_public)
        answer = await doors.answer(self._runtime, person, address=place.flow_id, ask=request)
        shown.caller = answer.caller
        shown.take_name(answer.start(), frame.id)

    async def _ask_anew(self, place: ConversationPlace, frame: AgainFrame | EditFrame) -> None:
        """In the place of a question that is shown; one of which nothing is stored stays above it."""
        asked = await history.find_question(self._runtime, self._shown.held, place, frame.message)
        text = frame.text if isinstance(frame, EditFrame) else asked.text
        await self._say_or_refuse(frame, text, files=[file.id for file in asked.files], version_of=asked.id)

    async def _choose(self, place: ConversationPlace, message_id: str) -> None:
        """Shows another version, here and wherever the conversation is shown."""
        turn = self._runtime.find_page_turn(self._shown.caller, place.flow_id, place.session_id)
        if turn or await history.read_elsewhere(self._runtime, place):
            raise AnswerUnfinished
        await self._runtime.store.write(versions.choose, **place._asdict(), message_id=message_id)
        await self._shown.tell_version(place, message_id)

    async def _tell_steps(self, place: ConversationPlace, message_id: str) -> None:
        """What went on inside, for who may see it; nothing for everybody else."""
        message = await history.find_message(self._runtime, self._shown.held, place, message_id)
        trace, actions = (message.trace, message.actions) if message and self._shown.sees_inside else ((), ())
        steps = write_steps(trace, self._shown.wired)
        self._shown.tell("steps", message=message_id, steps=steps, tools=write_called(actions))

    async def _rate(self, place: ConversationPlace, frame: RateFrame) -> None:
        """Good or bad, at an answer; what the page is told has the reason where it was refused."""
        told: Written = {"session": frame.session, "message": frame.message, "value": frame.value}
        try:
            where = RatedPlace(place.flow_id, place.session_id, frame.message)
            await feedback.rate(self._runtime.access, self._shown.caller, where, frame.value)
        except (NotSignedIn, FlowNotFound):
            raise
        except FlowgroundError as error:
            told |= {"error": write_refusal(error)}
        self._shown.tell("rated", **told)

    async def _stop(self, run_id: str | None) -> None:
        place, caller = self._shown.place, self._shown.caller
        if place is None:
            return
        turn = self._runtime.find_page_turn(caller, place.flow_id, place.session_id)
        if turn and (run_id is None or (turn.started and turn.started.run_id == run_id)):
            turn.stop()
        elif run_id is not None:
            try:
                await own_runs.stop_run(self._runtime, caller, run_id)
            except RunNotFound:
                return  # it has its end, or never was theirs
            except FlowgroundError as error:
                self._shown.tell("refused", id=None, **write_refusal(error))

    async def _decide(self, frame: DecideFrame) -> None:
        decided = DecidedCall(frame.call, frame.digest, frame.decision)
        try:
            await own_runs.decide(self._runtime, self._shown.caller, frame.run, decided)
        except (RunNotFound, NothingWaits):
            return  # it is over; what became of it is told anyway
        except FlowgroundError as error:
            self._shown.tell("refused", id=None, **write_refusal(error))

    def _require(self, session: str) -> ConversationPlace:
        place = self._shown.place
        if place is None or place.session_id != session:
            raise InvalidRequest("This page shows another conversation by now.", hint="Send it again.")
        return place

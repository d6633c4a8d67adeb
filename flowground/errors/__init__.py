"""The one error tree. Every message says what is wrong, where, and what to do; no secret, path or traceback in it.

FlowgroundError
├── ConfigError              the operator's config.yaml is wrong
├── FlowError                the author's flow file is wrong
├── RequestError             the caller asked for something that cannot be
│   ├── InvalidRequest       the body or a parameter does not fit
│   │   └── AnswerUnfinished  an answer is still written in the conversation
│   ├── InputConflict        the input is given twice
│   ├── OptionMissing        an option that the author requires is empty
│   ├── TweaksRefused        an override names what is unknown, protected, connected or out of bounds
│   ├── BodyTooLarge         the body is over the limit
│   ├── NotSignedIn          no caller, or one that is no longer valid
│   ├── RunLimitReached      as many runs as there may be; says when there may be more
│   ├── NotAllowed           a known caller may not do this
│   ├── FlowNotFound         no such flow for this caller: unknown and forbidden look the same
│   ├── RunNotFound          no such run of this caller: unknown and forbidden look the same
│   ├── EventsGone           this run's events are not kept, or not any more
│   ├── DecidedElsewhere     another process runs it, and has not taken a decision yet
│   └── RunElsewhere         another process runs it, and has not stopped it yet
├── ServerBusy               as many runs as this process takes, and as many that wait
├── StoreUnavailable         the database is busy, full, away or does not answer
└── RunError                 a run failed
    ├── ToolNotCalled        a tool was not called after all: wrong arguments, or nobody allowed it
    ├── ShuttingDown         the server ends; the same call may succeed elsewhere or later
    ├── RunStopped           somebody stopped it
    ├── EndedByAdmin         an admin ended it, or lets none begin; says so to whoever waits for the answer
    │   ├── StoppedByAdmin   this one run
    │   ├── FlowSwitchedOff  all runs of this flow
    │   └── ProviderSwitchedOff  all that ask this provider
    ├── UnexpectedFailure    a mistake of ours; the log has the rest
    ├── RunTimeout           it took longer than `limits.run_seconds`
    ├── RunOverBudget        a run used up its steps or tokens, with the flows that it ran
    ├── AnswerTooLong        an answer is too long; what was said until then is kept
    ├── SentFileFailed       a file that whoever asks sent cannot be used; they are told why
    ├── NoDocuments          the flow answers from documents, and there are none yet
    ├── ComponentFailed      one component failed; carries its id and the cause
    └── ProviderError        the model's server failed
        ├── ProviderRefused  it answered with an error status
        ├── ProviderBusy     it asked to come back later (429)
        ├── ProviderTimeout  it did not answer in time
        ├── ProviderUnreachable  nothing answers at its address
        └── ModelNotReady    the weights are being fetched or loaded

What only one room can meet stands there, below one of these: a missing key in `doors`, half a body in `api`, a built-in
model that cannot start in `providers`.
"""

from flowground.errors.base import ConfigError as ConfigError
from flowground.errors.base import FlowError as FlowError
from flowground.errors.base import FlowgroundError as FlowgroundError
from flowground.errors.base import Problem as Problem
from flowground.errors.base import RequestError as RequestError
from flowground.errors.base import ServerBusy as ServerBusy
from flowground.errors.base import StoreUnavailable as StoreUnavailable
from flowground.errors.ended import AnswerTooLong as AnswerTooLong
from flowground.errors.ended import EndedByAdmin as EndedByAdmin
from flowground.errors.ended import FlowSwitchedOff as FlowSwitchedOff
from flowground.errors.ended import ProviderSwitchedOff as ProviderSwitchedOff
from flowground.errors.ended import RunError as RunError
from flowground.errors.ended import RunOverBudget as RunOverBudget
from flowground.errors.ended import RunStopped as RunStopped
from flowground.errors.ended import RunTimeout as RunTimeout
from flowground.errors.ended import ShuttingDown as ShuttingDown
from flowground.errors.ended import StoppedByAdmin as StoppedByAdmin
from flowground.errors.ended import ToolNotCalled as ToolNotCalled
from flowground.errors.ended import UnexpectedFailure as UnexpectedFailure
from flowground.errors.failed import ComponentFailed as ComponentFailed
from flowground.errors.failed import ModelNotReady as ModelNotReady
from flowground.errors.failed import NoDocuments as NoDocuments
from flowground.errors.failed import ProviderBusy as ProviderBusy
from flowground.errors.failed import ProviderError as ProviderError
from flowground.errors.failed import ProviderRefused as ProviderRefused
from flowground.errors.failed import ProviderTimeout as ProviderTimeout
from flowground.errors.failed import ProviderUnreachable as ProviderUnreachable
from flowground.errors.failed import SentFileFailed as SentFileFailed
from flowground.errors.failed import explain_failure as explain_failure
from flowground.errors.failed import hide_component as hide_component
from flowground.errors.requests import AnswerUnfinished as AnswerUnfinished
from flowground.errors.requests import BodyTooLarge as BodyTooLarge
from flowground.errors.requests import DecidedElsewhere as DecidedElsewhere
from flowground.errors.requests import EventsGone as EventsGone
from flowground.errors.requests import FlowNotFound as FlowNotFound
from flowground.errors.requests import InputConflict as InputConflict
from flowground.errors.requests import InvalidRequest as InvalidRequest
from flowground.errors.requests import NotAllowed as NotAllowed
from flowground.errors.requests import NotSignedIn as NotSignedIn
from flowground.errors.requests import OptionMissing as OptionMissing
from flowground.errors.requests import RunElsewhere as RunElsewhere
from flowground.errors.requests import RunLimitReached as RunLimitReached
from flowground.errors.requests import RunNotFound as RunNotFound
from flowground.errors.requests import TweaksRefused as TweaksRefused

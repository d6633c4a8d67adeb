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
    ├── AnswerTooLong        an answer went over `limits.answer_chars`; what was said until then is kept
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

from flowground.errors.base import (
    ConfigError,
    FlowError,
    FlowgroundError,
    Problem,
    RequestError,
    ServerBusy,
    StoreUnavailable,
)
from flowground.errors.ended import (
    AnswerTooLong,
    EndedByAdmin,
    FlowSwitchedOff,
    ProviderSwitchedOff,
    RunError,
    RunOverBudget,
    RunStopped,
    RunTimeout,
    ShuttingDown,
    StoppedByAdmin,
    ToolNotCalled,
    UnexpectedFailure,
)
from flowground.errors.failed import (
    ComponentFailed,
    ModelNotReady,
    NoDocuments,
    ProviderBusy,
    ProviderError,
    ProviderRefused,
    ProviderTimeout,
    ProviderUnreachable,
    SentFileFailed,
    explain_failure,
    hide_component,
)
from flowground.errors.requests import (
    AnswerUnfinished,
    BodyTooLarge,
    DecidedElsewhere,
    EventsGone,
    FlowNotFound,
    InputConflict,
    InvalidRequest,
    NotAllowed,
    NotSignedIn,
    OptionMissing,
    RunElsewhere,
    RunLimitReached,
    RunNotFound,
    TweaksRefused,
)

__all__ = [
    "AnswerTooLong",
    "AnswerUnfinished",
    "BodyTooLarge",
    "ComponentFailed",
    "ConfigError",
    "DecidedElsewhere",
    "EndedByAdmin",
    "EventsGone",
    "FlowError",
    "FlowNotFound",
    "FlowSwitchedOff",
    "FlowgroundError",
    "InputConflict",
    "InvalidRequest",
    "ModelNotReady",
    "NoDocuments",
    "NotAllowed",
    "NotSignedIn",
    "OptionMissing",
    "Problem",
    "ProviderBusy",
    "ProviderError",
    "ProviderRefused",
    "ProviderSwitchedOff",
    "ProviderTimeout",
    "ProviderUnreachable",
    "RequestError",
    "RunElsewhere",
    "RunError",
    "RunLimitReached",
    "RunNotFound",
    "RunOverBudget",
    "RunStopped",
    "RunTimeout",
    "SentFileFailed",
    "ServerBusy",
    "ShuttingDown",
    "StoppedByAdmin",
    "StoreUnavailable",
    "ToolNotCalled",
    "TweaksRefused",
    "UnexpectedFailure",
    "explain_failure",
    "hide_component",
]

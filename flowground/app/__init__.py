"""What every endpoint calls: the runtime, authorization, a run from request to answer."""

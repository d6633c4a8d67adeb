"""Settings of earlier releases: a config.yaml that has them starts all the same, with a warning for each."""

GONE: dict[str, str] = {
    "outgoing.answer_bytes": "A tool takes answers of 3,000,000 bytes at most.",
    "outgoing.refresh_minutes": "Pages that knowledge names are asked again after an hour.",
    "providers.*.prompt_cache": "Tools and system prompt are always marked for Anthropic's cache.",
    "sharing.public.address_file_bytes": "`sharing.public.flow_file_bytes` bounds what visitors add to a flow.",
    "retention.attempts_days": "A password that was tried is forgotten after a day.",
    "limits.value_bytes": "A value has 3,000,000 bytes at most.",
    "limits.flow_bytes": "A flow file has 1,048,576 bytes at most.",
    "limits.answer_chars": "An answer has 500,000 characters at most; `max_tokens` of a model makes it shorter.",
    "limits.run_retries": "A run repeats calls to models 20 times at most; `retries` of a provider bounds one call.",
    "limits.queue_seconds": "A run waits 30 seconds for its place at most.",
    "limits.visitor": "`sharing.public` bounds visitors, and `limits.flow` a flow; a visitor keeps 50,000,000 bytes of "
    "files at most.",
    "limits.address": "`sharing.public.address_runs_per_minute` bounds visitors of one address, who have 50 runs at "
    "once at most.",
}
"""By its dotted name, in which `*` is any name: what holds in its place."""

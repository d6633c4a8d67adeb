"""What a function's name may begin with: a verb in the imperative, or of a statement that is true or not."""

_VERBS = """
abandon abort accept activate add admit advise agent allow alternate an announce answer append apply approve are as ask
begin begins believe bind blank bound build call can carry chain change check choose clean clear close coerce collect
compare compile complete components compose connect continue convert copy count create cut deactivate decide declare
decode delete deny describe digest discard distrust download draw drop edit embed empty encode end enter erase escape
estimate evaluate execute expand explain export extract fail feed fence fetch fill find finish fit fits flow flush fold
follow forget fulfil fuse get gets give go guess hand handle has hash hear hide hold hollow hurry indent index insert
install interrupt invite is issue its join keep keeps kill knows leave lend let link list load loads locate log look
loosen make mark match matches may measure mend merge migrate move name narrow need needs normalize note notice number
of open pack parse pass pause pick pin place plan post prepare print prove publish pump put quote rate read receive
recheck reconcile record redeem redraw refresh refuse release remember remove rename renew repeat replace report require
reset resolve restart retake revoke rewrite round run save say schedule search select send serve set settle share
shorten show sign skip sort spell split spread start step stop store stream strip suggest sum sweep switch take takes
tell tidy translate trim try unescape unwatch unwrap use uses validate verify wait waits walk wants warn was watch weigh
widen wire withdraw work would write
"""
_IMPOSED = """
aclose connection_lost connection_made data_received eof_received error exc_text fileno getMessage isatty lifespan main
model_post_init on_body on_header on_headers_complete on_message_begin on_message_complete on_response_complete
resume_writing
"""
VERBS = frozenset(_VERBS.split())
"""Add one when a function needs it; a noun, an adjective and what was done are none."""
IMPOSED = frozenset(_IMPOSED.split())
"""Names that Python's protocols and libraries give."""

"""What each field of a flow takes, and who may set it: its author alone, or callers too. Nothing else decides.

`types` says what a component type says of a field, `policy` what one flow makes of it, `callers` what is answered to
those who would set it, all compiled when a flow is wired; `values` judges what they set it to.
"""

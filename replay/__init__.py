"""Process replay: the same small commands in two trees, and what differs in what they leave and say.

`make replay BASE=main` compares the checkout as it stands, uncommitted changes included, with a commit. As tinygrad's
test/external/process_replay, it shows that a change of structure is no change of behaviour.
"""

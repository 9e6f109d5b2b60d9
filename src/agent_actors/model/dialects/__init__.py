"""What model servers really send, brought into the one form that the SDK reads.

"OpenAI-compatible" servers differ in the words for an end, in fields for reasoning, in ids and
indexes of tool calls, in numbers and nulls, and in what an error looks like. This package stands
between the wire and openai's library: `wire.py` rewrites responses, the other modules say how.
docs/models.md has the table of what was seen where.
"""

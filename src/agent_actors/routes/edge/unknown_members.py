"""Members of a body that are not known there, and where what they mean belongs.

A member that was ignored would be worse than an error: a `session_id` in the wrong place would
begin a new session with each message.
"""

from collections.abc import Mapping

_SESSION = "a session is named by metadata.session_id in the body of POST /chat/"
_USER = "the user is named by user_id in the body of POST /chat/, elsewhere by the path"
_TEXT = "the message is text in the body of POST /chat/, elsewhere content"
_MESSAGE = f"send one message, not a list or an object: {_TEXT}"
_KEY = "send it as the header Idempotency-Key"
_PREFER = "send the header Prefer: wait=N (seconds) or Prefer: respond-async"
_STREAM = f"an answer comes as a whole; to get a 202 at once, {_PREFER}"
_TOKEN = "send it as the header Authorization: Bearer <token>"  # noqa: S105 - No token.
_MODEL = "the model is a setting of the service (AGENT_ACTORS_MODEL)"
_METADATA = "metadata belongs in the body of POST /chat/, with session_id and timestamp"

PLACES: Mapping[str, str] = {
    "sessionid": _SESSION,
    "session": _SESSION,
    "conversationid": _SESSION,
    "threadid": _SESSION,
    "chatid": _SESSION,
    "timestamp": "the time of a message is metadata.timestamp in the body of POST /chat/",
    "metadata": _METADATA,
    "tags": "tags belong in the body of POST /chat/",
    "userid": _USER,
    "user": _USER,
    "actorid": _USER,
    "text": _TEXT,
    "content": _TEXT,
    "message": _MESSAGE,
    "messages": _MESSAGE,
    "input": _MESSAGE,
    "prompt": _MESSAGE,
    "role": "only POST /chat/{actor_id} has a role; elsewhere a message is the user's",
    "idempotencykey": _KEY,
    "key": _KEY,
    "stream": _STREAM,
    "prefer": _PREFER,
    "wait": _PREFER,
    "respondasync": _PREFER,
    "timeout": _PREFER,
    "authorization": _TOKEN,
    "token": _TOKEN,
    "apikey": _TOKEN,
    "model": _MODEL,
    "phone": "a phone number is a preference: PUT /users/{user_id}/preferences",
}
"""Where what a member means belongs, by its name without case and separators."""
_UNKNOWN = "this member is not known here; /docs has what the body may have"


def place_of(name: str) -> str:
    """What to do with a member of that name, in any spelling (`session_id`, `sessionId`)."""
    return PLACES.get("".join(filter(str.isalnum, name)).lower(), _UNKNOWN)

"""Who may call which route: the only table, which docs/security.md repeats.

A route that is not in it needs an admin's token or the sidecar's, if access control is on.
What holds for GET holds for HEAD, which `routes/edge/request_form.py` makes a GET.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal

Rule = Literal["open", "runtime", "own id", "own body", "own session", "operator"]
"""Who may call a route if access control is on; an admin may call all but `runtime`.

`open`: anybody. `runtime`: the sidecar's token, which is checked elsewhere (I12). `own id`: the
user whose id is in the path. `own body`, `own session`: the user whose id is in the body, or whose
session it is; the route itself checks it (`routes/edge/permits.py`). `operator`: callers on this
machine, or with the sidecar's token.
"""

RULES: Mapping[str, Rule] = MappingProxyType(
    {
        "GET /": "open",
        "GET /docs": "open",
        "GET /docs/{asset}": "open",
        "GET /redoc": "open",
        "GET /redoc/{asset}": "open",
        "GET /openapi.json": "open",
        "GET /livez": "open",
        "GET /readyz": "open",
        "GET /healthz": "open",
        "GET /metrics": "open",
        "GET /dapr/config": "open",
        "POST /subscribe": "runtime",
        "POST /subscribe/dead": "runtime",
        "POST /conversations": "runtime",
        "POST /conversations/dead": "runtime",
        "POST /messages": "runtime",
        "POST /messages/dead": "runtime",
        "POST /receive-message": "runtime",
        "POST /chat/": "own body",
        "GET /conversations/{session_id}": "own session",
        "GET /conversations/{session_id}/turns/{turn_id}": "own session",
        "POST /chat/{actor_id}": "own id",
        "GET /chat/{actor_id}/history": "own id",
        "DELETE /chat/{actor_id}/history": "own id",
        "GET /chat/{actor_id}/turns/{turn_id}": "own id",
        "POST /chat/{actor_id}/follow-up": "own id",
        "POST /chat/{actor_id}/schedules": "own id",
        "GET /chat/{actor_id}/schedules": "own id",
        "GET /chat/{actor_id}/schedules/{schedule_id}": "own id",
        "DELETE /chat/{actor_id}/schedules/{schedule_id}": "own id",
        "GET /response/{actor_id}/count": "own id",
        "GET /memory/{actor_id}": "own id",
        "GET /memories/{user_id}": "own id",
        "POST /memories/{user_id}/initialize": "own id",
        "GET /analytics/{user_id}": "own id",
        "GET /analytics/{user_id}/usage": "own id",
        "POST /analytics/{user_id}/initialize": "own id",
        "GET /users/{user_id}": "own id",
        "DELETE /users/{user_id}": "own id",
        "GET /users/{user_id}/export": "own id",
        "GET /users/{user_id}/session": "own id",
        "DELETE /users/{user_id}/session": "own id",
        "GET /users/{user_id}/sessions": "own id",
        "GET /users/{user_id}/preferences": "own id",
        "PUT /users/{user_id}/preferences": "own id",
        "GET /notifications/{user_id}": "own id",
        "GET /info": "operator",
        "GET /events/dead": "operator",
        "POST /events/dead/{letter_id}/requeue": "operator",
    }
)
OF_USERS = ("actor_id", "user_id")
"""Path parameters that are user ids."""

"""The names that travel: actor types, reminders, timers, topics and event types.

Wire spellings live here and in `interfaces`, and nowhere else, except for an actor type that only
its client names.
"""

CHAT = "ChatAgent"
RESPONSE = "ResponseAgent"
MEMORY = "MemoryAgentActor"
SESSION = "UserSessionActor"
ANALYTICS = "AnalyticsActor"
NOTIFICATIONS = "NotificationActor"
LETTERS = "DeadLetterActor"

TOKEN_HEADER = "dapr-api-token"  # noqa: S105 - the name of a header
"""The header in which a sidecar and its app send each other's token."""
PING = "Ping"
READINESS = "~ready"
"""The actor id of readiness probes; no conversation can have it."""

PUBSUB = "daca-pubsub"
USER_CHAT = "user-chat"
LESSON_PUBSUB = "pubsub"
CONVERSATIONS = "conversations"
MESSAGES = "messages"
"""The lessons' topics: other services publish there, and so do workflows."""
SENT_TYPE = "MessageSent"
LETTERS_ID = USER_CHAT
"""The one DeadLetterActor: all letters share its bounds."""
SETTLE = "settle"
"""The recovery reminder of a conversation."""
EXPIRE = "clear-history"
"""The reminder that clears an inactive conversation."""
COUNT = "log-message-count"
"""The timer that logs how many messages a conversation has."""

EVENT_TYPE = "ConversationUpdated"
CLEARED_TYPE = "ConversationCleared"
EVENT_VERSION = 1

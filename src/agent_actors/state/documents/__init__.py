"""The documents that actors store: those of conversations, of users, and dead letters.

    actor              key               document          holds
    ChatAgent          head              Head              all that a turn needs
                       h<n>              Segment           turns 8n+1 … 8n+8, moved out of the head
                       r<n>              OutcomeRecords    outcomes 16n … 16n+15, moved out of it
                       schedules         Schedules         (in `protocol.schedules`)
    MemoryAgentActor   memory            Memory            the user's last messages
                       profile           Profile           who the user is
    UserSessionActor   exchanges         LastExchanges     the user's last exchanges
                       preferences       UserPreferences
                       sessions, p<n>    SessionIndex, SessionPage
                       phone             PhoneNumber       (in `protocol.notifications`)
    AnalyticsActor     analytics         Analytics         message and token counts
    NotificationActor  notices           NotificationLog   (in `protocol.notifications`)
    these four         s:<conversation>  Mark              the last event applied
                       tombstone         Tombstone         when the user was forgotten
    DeadLetterActor    index, p<n>       LetterIndex, LetterPage
                       l:<id>            Letter            an event that was given up

Three properties hold for all of them:

- A document is a frozen value. It is replaced, never changed, so a failed save leaves
  nothing half changed in memory (rule 2, docs/protocol.md).
- A document is bounded. A turn reads and writes little but the head, however long the conversation:
  what has no room there moves to a document of its own, in the same transaction.
- A document is stored as JSON with the version of its schema under `v`. A new field needs a default
  and a new version; `versions` then reads what older releases have stored.

No document lists unsent events: the turns above a consumer's `Mark` are the outbox (I4).
"""

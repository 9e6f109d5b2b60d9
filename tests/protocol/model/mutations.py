"""The mechanisms of the protocol, each of which can be switched off: the model must notice.

The place is the point or rule of docs/protocol.md that the mechanism implements.
"""

from typing import NamedTuple


class Mutation(NamedTuple):
    """A mechanism that is switched off: its name, its place, and what is done instead."""

    name: str
    place: str
    instead: str


MUTATIONS = (
    Mutation("id_not_from_key", "4.1", "each try of a keyed message has an id of its own"),
    Mutation("id_ignores_body", "4.2", "the id comes from the key alone"),
    Mutation("count_in_response", "4.3", "ResponseAgent counts the answers it has given"),
    Mutation("keep_cache", "4.4", "the cache stays as it was after a save that failed"),
    Mutation("arm_after_save", "4.5", "the reminder is registered after the save"),
    Mutation("arm_only_parked", "4.5", "the quick path registers no reminder"),
    Mutation("one_task", "4.6", "ResponseAgent keeps one model call per conversation"),
    Mutation("complete_unchecked", "4.7", "any turn that is delivered is committed"),
    Mutation("deliver_in_turn", "4.8", "the answer is delivered inside a turn of ResponseAgent"),
    Mutation("queue_bypass", "4.9", "a message takes the quick path beside a queue"),
    Mutation("tries_volatile", "4.10", "another start of a turn is not saved before it"),
    Mutation("no_gap", "4.11", "an event is applied though one before it is missing"),
    Mutation("mark_apart", "4.12", "the mark is saved after the effect"),
    Mutation("mark_first", "4.12", "the mark is saved before the effect"),
    Mutation("one_mark", "4.13", "the reminder asks memory's mark only"),
    Mutation("furthest_mark", "4.13", "the furthest mark counts, not the last"),
    Mutation("duplicates_not_fed", "4.13", "what memory knows is given to nobody else"),
    Mutation("clear_wipes", "4.14", "a clear deletes pairs at once"),
    Mutation("erase_unremembered", "4.14", "the tick deletes pairs that a consumer misses"),
    Mutation("clear_resets", "4.15", "a clear begins the numbers anew"),
    Mutation("retry_failed", "4.16", "a turn that ended as failed runs again"),
    Mutation("split_commit", "4.17", "history is saved before the record"),
    Mutation("dead_can_save", "4.18", "an activation that was deactivated saves"),
    Mutation("dead_can_call", "4.18", "an activation that was deactivated calls"),
    Mutation("dead_can_start", "4.18", "an activation that was deactivated starts the model"),
    Mutation("unclean", "4.18", "deactivation leaves the activation as it is"),
    Mutation("no_own_lock", "4.19", "the lock is free when its caller leaves"),
    Mutation("oneshot", "4.20", "the reminder fires once"),
    Mutation("broker_confirms", "4.21", "what was published counts as applied"),
    Mutation("no_mark", "4.21", "a consumer applies what it has applied"),
    Mutation("no_dedupe", "4.21", "ChatAgent looks for no record"),
    Mutation("tasks_in_activation", "4.22", "model calls end with their ResponseAgent"),
    Mutation("task_forgotten", "4.22", "ResponseAgent looks for no model call"),
    Mutation("clear_keeps_queue", "4.23", "a clear leaves queued turns"),
    Mutation("records_dropped", "4.24", "records that leave the head are not kept"),
    Mutation("records_apart", "4.24", "records that leave the head are saved after it"),
    Mutation("segments_first", "4.25", "a reader takes the segments before the head"),
    Mutation("owner_volatile", "4.26", "the owner is known from the last call only"),
    Mutation("early_close_overwrites", "4.27", "a segment is replaced when it is continued"),
    Mutation("late_reads_trusted", "4.28", "what an activation reads is kept before it has saved"),
    Mutation("queue_waits_for_tick", "4.29", "a new activation leaves its queue to the reminder"),
    Mutation("sidecar_unnoticed", "4.30", "activations outlive their sidecar"),
    Mutation("adopted_unseen", "4.31", "a turn of another service is committed each time"),
    Mutation("adopted_leaves_queue", "4.31", "it arms the reminder, and the queue seems driven"),
    Mutation("adopted_restarts_queue", "4.31", "it counts the tries of the queue's head anew"),
)
NAMES = tuple(each.name for each in MUTATIONS)

"""What consumers and the forgetting of a user do, switched off piece by piece; see `mutants`."""

from tests.protocol.mutant import (
    CHAT,
    CONSUMER,
    DRAFT,
    EVENTS,
    FORGETTING,
    MEMORY,
    POSITION,
    RECOVERY,
    SESSION,
    mutant,
)

_MARKED = "        await self.state.save({**effect, **marks})\n"
_SAVE_EFFECT = "        await self.state.save(effect)\n"
_SAVE_MARKS = "        await self.state.save(marks)\n"
_SUMMED_UP = "head.earlier.upto == request.after and head.start < request.upto <= head.seq"

CONSUMER_MUTANTS = (
    mutant(
        "no_gap",
        "4.11",
        CONSUMER,
        'return "applied" if event.seq == mark + 1 else "gap"',
        'return "applied"',
    ),
    mutant("no_mark", "4.21", CONSUMER, "if event.seq <= mark:", "if False:"),
    mutant("mark_apart", "4.12", CONSUMER, _MARKED, _SAVE_EFFECT + _SAVE_MARKS),
    mutant("mark_first", "4.12", CONSUMER, _MARKED, _SAVE_MARKS + _SAVE_EFFECT),
    mutant(
        "batch_unmarked",
        "4.21",
        CONSUMER,
        "                    marks[event.conversation] = event.seq\n",
        "                    pass\n",
    ),
    mutant(
        "one_mark", "4.13", RECOVERY, "dependencies.consumers\n", "dependencies.consumers[:1]\n"
    ),
    mutant("furthest_mark", "4.13", RECOVERY, "max(min(marks),", "max(max(marks),"),
    mutant(
        "duplicates_not_fed",
        "4.13",
        EVENTS,
        "    if event.seq is not None:\n        services.feed.add(",
        '    if event.seq is not None and result.status == "applied":\n        services.feed.add(',
    ),
    mutant(
        "floor_ignored",
        "4.13",
        CONSUMER,
        "        mark = max(mark, event.floor)\n",
        "",
    ),
    mutant("erased_is_owed", "4.13", RECOVERY, "max(min(marks), head.low - 1)", "min(marks)"),
    mutant(
        "adopted_unseen",
        "4.31",
        CHAT,
        "        known = await self._history.sent_turn(head, adopted)\n",
        "        known = None\n",
    ),
    mutant(
        "adopted_restarts_queue",
        "4.31",
        DRAFT,
        "        if rest and rest[0] is not self.head.queue[0]:\n",
        "        if rest:\n",
    ),
    mutant(
        "adopted_leaves_queue",
        "4.31",
        CHAT,
        "        head = await self._open(adopted.user)\n",
        "        head = await self._head()\n        check_open(head, adopted.user)\n",
    ),
    mutant(
        "closed_is_open",
        "rule 17",
        POSITION,
        '    if head.ended == "closed":\n',
        "    if False:\n",
    ),
    mutant(
        "never_closed", "rule 17", CHAT, '"closed" if request.close else "forgotten"', '"forgotten"'
    ),
    mutant(
        "forgotten_unarmed",
        "rule 17",
        CHAT,
        '"forgotten")\n            await self._commit(draft)\n',
        '"forgotten")\n            await self.state.save(draft.changes)\n',
    ),
    mutant(
        "forgotten_marks_stay",
        "4.15",
        CONSUMER,
        "{**effect, **marks, slots.TOMBSTONE",
        "{**effect, slots.TOMBSTONE",
    ),
    mutant(
        "forgotten_marks_go_back",
        "4.15",
        CONSUMER,
        "seq=max(each.seq, mark.seq))\n        await self.state.save",
        "seq=0)\n        await self.state.save",
    ),
    mutant(
        "sessions_stay_listed",
        "rule 17",
        FORGETTING,
        "        await self.sessions.close_all(user)\n",
        "",
    ),
    mutant(
        "any_page_dropped",
        "rule 17",
        SESSION,
        "index.first < index.open and first.session_ids == page.session_ids",
        "index.first < index.open",
    ),
    mutant(
        "hidden_is_enough",
        "rule 17",
        FORGETTING,
        "            await consumer.forget(user, request)\n",
        "            pass\n",
    ),
    mutant(
        "late_summary_kept",
        "rule 17",
        MEMORY,
        "if not memory.summarised < request.events <= memory.events:",
        "if request.events > memory.events:",
    ),
    mutant(
        "profile_kept",
        "rule 17",
        MEMORY,
        "{slots.MEMORY: empty, slots.PROFILE: None}",
        "{slots.MEMORY: empty}",
    ),
    mutant(
        "earlier_kept", "rule 17", DRAFT, "start=seq, earlier=EarlierSummary(seq))", "start=seq)"
    ),
    mutant("late_sum_kept", "rule 17", CHAT, _SUMMED_UP, "request.upto <= head.seq"),
)

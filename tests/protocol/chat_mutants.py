"""What ChatAgent does, mechanism by mechanism switched off; see `mutants`."""

from tests.protocol.mutant import (
    BASE,
    CHAT,
    DRAFT,
    HISTORY,
    POSITION,
    QUEUE,
    RECOVERY,
    mutant,
)

_COMMIT = "        await self._arm()\n        await self.state.save(draft.changes)\n"
_SETTLE = (
    "        await self._commit(draft)\n"
    "        self._bell.ring(self.conversation)\n"
    "        if pair is not None:\n"
)
_DOCUMENTS = "from agent_actors.state.documents.conversation import Head, Pair, QueuedTurn\n"
_CLEARED = (
    "        self.head = replace(self.head, queue=(), start=seq, earlier=EarlierSummary(seq))\n"
)
_RESTED = "        if erased and not head.queue and mark >= head.seq:\n"
_APPENDED = (
    '        self.head = replace(self.head, seq=pair.seq, start=start, tail=tail, ended="")\n'
)


CHAT_MUTANTS = (
    mutant(
        "arm_after_save",
        "4.5",
        BASE,
        _COMMIT,
        "        await self.state.save(draft.changes)\n        await self._arm()\n",
    ),
    mutant(
        "arm_only_parked",
        "4.5",
        QUEUE,
        _SETTLE,
        _SETTLE.replace(
            "await self._commit(draft)",
            "await (self._commit(draft) if head.queue else self.state.save(draft.changes))",
        ),
    ),
    mutant(
        "never_armed",
        "4.5",
        BASE,
        _COMMIT,
        "        await self.state.save(draft.changes)\n",
    ),
    mutant(
        "armed_for_ever",
        "4.5",
        RECOVERY,
        "            self.state.flags.discard(ARMED)\n            await self._stop",
        "            await self._stop",
    ),
    mutant(
        "armed_before_registered",
        "4.5",
        BASE,
        "        await self._remind(wire.SETTLE,",
        "        self.state.flags.add(ARMED)\n        await self._remind(wire.SETTLE,",
    ),
    mutant(
        "complete_unchecked",
        "4.7",
        CHAT,
        "if not head.queue or head.queue[0].turn.turn_id != request.turn_id:",
        "if not head.queue:",
    ),
    mutant(
        "queue_bypass",
        "4.9",
        CHAT,
        "        if head.queue:\n            return await self._park(",
        "        if False:\n            return await self._park(",
    ),
    mutant(
        "tries_volatile",
        "4.10",
        QUEUE,
        "draft.count_start()\n                await self.state.save(draft.changes)\n",
        "draft.count_start()\n",
    ),
    mutant(
        "queue_waits_for_tick",
        "4.29",
        QUEUE,
        "        if not head.queue or ARMED in self.state.flags:\n",
        "        if True:\n",
    ),
    mutant("tries_unbounded", "4.10", QUEUE, "first.tries < TRIES", "first.tries < 1000"),
    mutant(
        "clear_wipes",
        "4.14",
        DRAFT,
        _CLEARED,
        _CLEARED.replace("queue=()", "queue=(), tail=(), low=seq + 1"),
    ),
    mutant("erase_unremembered", "4.14", RECOVERY, "min(head.start, mark)", "head.start"),
    mutant(
        "clear_resets",
        "4.15",
        DRAFT,
        _CLEARED,
        "        self.head = Head(user=self.head.user, recent=self.head.recent)\n",
    ),
    mutant(
        "retry_failed",
        "4.16",
        POSITION,
        "    known = record or queued\n",
        "    record = record if record and record.seq else None\n    known = record or queued\n",
    ),
    mutant(
        "split_commit",
        "4.17",
        QUEUE,
        _SETTLE,
        "        await self._arm()\n"
        "        early = replace(draft.head, recent=head.recent)\n"
        "        await self.state.save({**draft.changes, slots.HEAD: early})\n" + _SETTLE,
        _DOCUMENTS,
        "from agent_actors.state import slots\n" + _DOCUMENTS,
    ),
    mutant(
        "oneshot",
        "4.20",
        BASE,
        'self.register_reminder(name, b"", due, period)',
        'self.register_reminder(name, b"", due)',
    ),
    mutant("broker_confirms", "4.21", RECOVERY, "mark = await self._mark(head)", "mark = head.seq"),
    mutant(
        "no_republish",
        "4.21",
        RECOVERY,
        "        await self._publish_after(head, mark)\n",
        "",
    ),
    mutant(
        "no_dedupe",
        "4.21",
        HISTORY,
        "        record = await self.record(head, turn_id, key_hash)\n",
        "        record = None\n",
    ),
    mutant(
        "clear_keeps_queue",
        "4.23",
        DRAFT,
        '            self.record(queued.turn, "cancelled", error=cancelled)\n',
        "            pass\n",
        _CLEARED,
        _CLEARED.replace("queue=(), ", ""),
    ),
    mutant(
        "clear_forgets_queue",
        "4.23",
        DRAFT,
        '            self.record(queued.turn, "cancelled", error=cancelled)\n',
        "            pass\n",
    ),
    mutant(
        "records_dropped",
        "4.24",
        DRAFT,
        "            self._documents[slots.records(number)] ="
        " OutcomeRecords(records=recent[:RECORDS])\n",
        "",
    ),
    mutant(
        "records_apart",
        "4.24",
        BASE,
        _COMMIT,
        "        await self._arm()\n"
        "        await self.state.save({slots.HEAD: draft.head})\n"
        "        await self.state.save(draft.changes)\n",
    ),
    mutant(
        "records_kept_for_ever",
        "section 1",
        DRAFT,
        "        if forgotten >= 0:\n",
        "        if False:\n",
    ),
    mutant(
        "owner_guessed",
        "4.26",
        RECOVERY,
        "each.mark, head.user, self.conversation",
        "each.mark, self.conversation, self.conversation",
    ),
    mutant(
        "early_close_overwrites",
        "4.27",
        DRAFT,
        "        if (tail[0].seq - 1) % SEGMENT:\n",
        "        if False:\n",
    ),
    mutant(
        "append_in_place",
        "rule 2",
        DRAFT,
        "            self.head = replace(self.head, user=user)\n",
        "            object.__setattr__(self.head, 'user', user)\n",
        "        self.head = replace(self.head, queue=rest)\n",
        "        object.__setattr__(self.head, 'queue', rest)\n",
        _APPENDED,
        "        object.__setattr__(self.head, 'seq', pair.seq)\n"
        "        object.__setattr__(self.head, 'start', start)\n"
        "        object.__setattr__(self.head, 'tail', tail)\n",
    ),
    mutant(
        "rests_with_queue",
        "section 2",
        RECOVERY,
        _RESTED,
        _RESTED.replace("not head.queue and ", ""),
    ),
    mutant(
        "rests_with_events",
        "section 2",
        RECOVERY,
        _RESTED,
        _RESTED.replace(" and mark >= head.seq", ""),
    ),
    mutant(
        "rests_with_text",
        "section 2",
        RECOVERY,
        _RESTED,
        _RESTED.replace("erased and ", ""),
    ),
    mutant(
        "never_rests",
        "section 2",
        RECOVERY,
        "            await self._stop_reminder(wire.SETTLE)\n",
        "            pass\n",
    ),
)

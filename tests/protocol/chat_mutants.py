"""What ChatAgent does, mechanism by mechanism switched off; see `mutants`."""

from tests.protocol.mutant import CHAT, CONVERSATION, DRAFT, mutant

_COMMIT = "        await self._arm()\n        await self.state.save(draft.changes)\n"
_SETTLE = (
    "        await self._commit(draft)\n"
    "        self._bell.ring(self.conversation)\n"
    "        if pair is not None:\n"
)
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
        CONVERSATION,
        _COMMIT,
        "        await self.state.save(draft.changes)\n        await self._arm()\n",
    ),
    mutant(
        "arm_only_parked",
        "4.5",
        CONVERSATION,
        _SETTLE,
        _SETTLE.replace(
            "await self._commit(draft)",
            "await (self._commit(draft) if head.queue else self.state.save(draft.changes))",
        ),
    ),
    mutant(
        "never_armed",
        "4.5",
        CONVERSATION,
        _COMMIT,
        "        await self.state.save(draft.changes)\n",
    ),
    mutant(
        "armed_for_ever",
        "4.5",
        CONVERSATION,
        "            self.state.unnote(ARMED)\n            await self.ask(",
        "            await self.ask(",
    ),
    mutant(
        "armed_before_registered",
        "4.5",
        CONVERSATION,
        "        period = timedelta(",
        "        self.state.note(ARMED)\n        period = timedelta(",
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
        CONVERSATION,
        "        if head.queue:\n            return await self._park(",
        "        if False:\n            return await self._park(",
    ),
    mutant(
        "tries_volatile",
        "4.10",
        CONVERSATION,
        "        draft.try_again()\n        await self.state.save(draft.changes)\n",
        "        draft.try_again()\n",
    ),
    mutant(
        "queue_waits_for_tick",
        "4.29",
        CONVERSATION,
        "        if not head.queue or self.state.noted(ARMED):\n",
        "        if True:\n",
    ),
    mutant("tries_unbounded", "4.10", CONVERSATION, "first.tries < TRIES", "first.tries < 1000"),
    mutant(
        "clear_wipes",
        "4.14",
        DRAFT,
        _CLEARED,
        _CLEARED.replace("queue=()", "queue=(), tail=(), low=seq + 1"),
    ),
    mutant("erase_unremembered", "4.14", CONVERSATION, "min(head.start, mark)", "head.start"),
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
        CONVERSATION,
        "        if record is not None:\n            return await self._answer_again",
        "        if record is not None and record.seq is not None:\n"
        "            return await self._answer_again",
    ),
    mutant(
        "split_commit",
        "4.17",
        CONVERSATION,
        _SETTLE,
        "        await self._arm()\n"
        "        early = replace(draft.head, recent=head.recent)\n"
        "        await self.state.save({**draft.changes, slots.HEAD: early})\n" + _SETTLE,
    ),
    mutant(
        "oneshot",
        "4.20",
        CONVERSATION,
        'self.register_reminder(wire.SETTLE, b"", period, period)',
        'self.register_reminder(wire.SETTLE, b"", period)',
    ),
    mutant(
        "broker_confirms", "4.21", CONVERSATION, "mark = await self._mark(head)", "mark = head.seq"
    ),
    mutant(
        "no_republish",
        "4.21",
        CONVERSATION,
        "        await self._publish_after(head, mark)\n",
        "",
    ),
    mutant(
        "no_dedupe",
        "4.21",
        CONVERSATION,
        "        record = await self._history.record(head, turn)\n",
        "        record = None\n",
    ),
    mutant(
        "clear_keeps_queue",
        "4.23",
        DRAFT,
        '            self.record(queued.turn, Ending("cancelled", error=cancelled))\n',
        "            pass\n",
        _CLEARED,
        _CLEARED.replace("queue=(), ", ""),
    ),
    mutant(
        "clear_forgets_queue",
        "4.23",
        DRAFT,
        '            self.record(queued.turn, Ending("cancelled", error=cancelled))\n',
        "            pass\n",
    ),
    mutant(
        "records_dropped",
        "4.24",
        DRAFT,
        "        self._documents[slots.records(number)] ="
        " OutcomeRecords(records=recent[:RECORDS])\n",
        "",
    ),
    mutant(
        "records_apart",
        "4.24",
        CONVERSATION,
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
        "owner_volatile",
        "4.26",
        CONVERSATION,
        "    async def _process(self, turn: Turn, wait: float) -> TurnState:\n",
        "    async def _process(self, turn: Turn, wait: float) -> TurnState:\n"
        "        self._owner = turn.user\n",
        "each.mark, head.user, self.conversation",
        'each.mark, getattr(self, "_owner", ""), self.conversation',
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
        "        self.head = replace(self.head, user=self.head.user or user)\n",
        "        object.__setattr__(self.head, 'user', self.head.user or user)\n",
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
        CONVERSATION,
        _RESTED,
        _RESTED.replace("not head.queue and ", ""),
    ),
    mutant(
        "rests_with_events",
        "section 2",
        CONVERSATION,
        _RESTED,
        _RESTED.replace(" and mark >= head.seq", ""),
    ),
    mutant(
        "rests_with_text",
        "section 2",
        CONVERSATION,
        _RESTED,
        _RESTED.replace("erased and ", ""),
    ),
    mutant(
        "never_rests",
        "section 2",
        CONVERSATION,
        "            await self.ask(lambda: self.unregister_reminder(wire.SETTLE))\n",
        "            pass\n",
    ),
)

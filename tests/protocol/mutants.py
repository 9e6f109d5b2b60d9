"""The mechanisms of the protocol, each switched off by an exact change of one source file.

The number is the row of the table in PROTOCOL.md, section 4 ("4.7"), or the rule of section 3.
"""

from dataclasses import dataclass

CHAT = "actors/chat.py"
DRAFT = "actors/draft.py"
MEMORY = "actors/memory.py"
RESPONSE = "actors/response.py"
CALLS = "model/calls.py"
TURNS = "turns.py"
SLOTS = "slots.py"
SAVED = "saved.py"
CONTRACTS = "contracts.py"


@dataclass(frozen=True, slots=True)
class Mutant:
    """A change of one file: each text occurs in it exactly once."""

    name: str
    row: str
    file: str
    edits: tuple[tuple[str, str], ...]


def mutant(name: str, row: str, file: str, *texts: str) -> Mutant:
    """A mutant whose edits are given as old, new and so on."""
    return Mutant(name, row, file, tuple(zip(texts[::2], texts[1::2], strict=True)))


_TURN_ID = "json.dumps([conversation, key, body])"
_COMMIT = "        await self._arm()\n        await self.state.save(draft.changes)\n"
_SETTLE = (
    "        await self._commit(draft)\n"
    "        self._settled.ring(self.conversation)\n"
    "        if pair is not None:\n"
)
_MARKED = (
    "        await self.state.save(\n"
    "            {slots.MEMORY: memory, slots.mark(event.conversation): Mark(seq=event.seq)}\n"
    "        )\n"
)
_SAVE_MEMORY = "        await self.state.save({slots.MEMORY: memory})\n"
_SAVE_MARK = (
    "        await self.state.save({slots.mark(event.conversation): Mark(seq=event.seq)})\n"
)
_CLEARED = "        self.head = replace(self.head, queue=(), start=self.head.seq)\n"
_RESTED = "        if not head.queue and mark >= head.seq and head.low > head.start:\n"
_APPENDED = (
    "        self.head = replace("
    "self.head, seq=pair.seq, start=start, tail=(*self.head.tail, pair))\n"
)

MUTANTS = (
    mutant("id_not_from_key", "4.1", CONTRACTS, f"uuid.uuid5(_TURNS, {_TURN_ID})", "uuid.uuid4()"),
    mutant("id_ignores_body", "4.2", CONTRACTS, _TURN_ID, "json.dumps([conversation, key])"),
    mutant("keep_cache", "4.4", SLOTS, "            if not saved:\n", "            if False:\n"),
    mutant(
        "keep_cache_when_cut",
        "rule 2",
        SLOTS,
        "            if not saved:\n",
        "            if not saved and not asyncio.current_task().cancelling():\n",
    ),
    mutant(
        "believe_before_save",
        "rule 2",
        SLOTS,
        "        self._may_act()\n        saved = False\n",
        "        self._may_act()\n        saved = False\n"
        "        for slot, value in changes.items():\n"
        "            self._cache[slot.key] = value\n",
        "            if not saved:\n",
        "            if False:\n",
    ),
    mutant(
        "arm_after_save",
        "4.5",
        CHAT,
        _COMMIT,
        "        await self.state.save(draft.changes)\n        await self._arm()\n",
    ),
    mutant(
        "arm_only_parked",
        "4.5",
        CHAT,
        _SETTLE,
        _SETTLE.replace(
            "await self._commit(draft)",
            "await (self._commit(draft) if head.queue else self.state.save(draft.changes))",
        ),
    ),
    mutant("never_armed", "4.5", CHAT, _COMMIT, "        await self.state.save(draft.changes)\n"),
    mutant(
        "armed_for_ever",
        "4.5",
        CHAT,
        "            self._armed = False\n            await self.ask(",
        "            await self.ask(",
    ),
    mutant(
        "armed_before_registered",
        "4.5",
        CHAT,
        "        period = timedelta(",
        "        self._armed = True\n        period = timedelta(",
    ),
    mutant(
        "one_task",
        "4.6",
        CALLS,
        "by_age[: max(0, len(calls) + 1 - PER_CONVERSATION)]",
        "by_age",
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
        CHAT,
        "        draft.try_again()\n        await self.state.save(draft.changes)\n",
        "        draft.try_again()\n",
    ),
    mutant("tries_unbounded", "4.10", CHAT, "first.tries < TRIES", "first.tries < 1000"),
    mutant("no_gap", "4.11", MEMORY, "if event.seq > mark + 1:", "if False:"),
    mutant("mark_apart", "4.12", MEMORY, _MARKED, _SAVE_MEMORY + _SAVE_MARK),
    mutant("mark_first", "4.12", MEMORY, _MARKED, _SAVE_MARK + _SAVE_MEMORY),
    mutant(
        "clear_wipes",
        "4.14",
        DRAFT,
        _CLEARED,
        _CLEARED.replace("queue=()", "queue=(), tail=(), low=self.head.seq + 1"),
    ),
    mutant("erase_unremembered", "4.14", CHAT, "min(head.start, mark)", "head.start"),
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
        CHAT,
        "        if record is not None:\n            return await self._answer_again",
        "        if record is not None and record.seq is not None:\n"
        "            return await self._answer_again",
    ),
    mutant(
        "split_commit",
        "4.17",
        CHAT,
        _SETTLE,
        "        await self._arm()\n"
        "        early = replace(draft.head, recent=head.recent)\n"
        "        await self.state.save({**draft.changes, slots.HEAD: early})\n" + _SETTLE,
    ),
    mutant(
        "dead_can_save",
        "4.18",
        SLOTS,
        "        self._may_act()\n        saved = False\n",
        "        saved = False\n",
    ),
    mutant(
        "dead_can_call",
        "4.18",
        TURNS,
        "        self.require_live()\n        try:\n            async with self.clock",
        "        try:\n            async with self.clock",
    ),
    mutant(
        "dead_can_start",
        "4.18",
        RESPONSE,
        "        self.require_live()\n        return self._calls.start(",
        "        return self._calls.start(",
    ),
    mutant("unclean", "4.18", TURNS, "        self.activations.withdraw(self.key)\n", ""),
    mutant(
        "not_recorded",
        "rule 3",
        TURNS,
        "        actor = self.activations.current(self)\n",
        "        actor = self\n",
    ),
    mutant(
        "former_lives",
        "rule 3",
        TURNS,
        "        if former is not None:\n            former.live = False\n",
        "",
    ),
    mutant(
        "no_own_lock",
        "4.19",
        TURNS,
        "        async with self.activations.turn(actor.key):\n",
        "        if True:\n",
    ),
    mutant(
        "oneshot",
        "4.20",
        CHAT,
        'self.register_reminder(contracts.SETTLE, b"", period, period)',
        'self.register_reminder(contracts.SETTLE, b"", period)',
    ),
    mutant("broker_confirms", "4.21", CHAT, "mark = await self._mark(head)", "mark = head.seq"),
    mutant(
        "no_republish",
        "4.21",
        CHAT,
        "        await self._publish_after(head, mark)\n",
        "",
    ),
    mutant("no_mark", "4.21", MEMORY, "if event.seq <= mark:", "if False:"),
    mutant(
        "no_dedupe",
        "4.21",
        CHAT,
        "        record = await self._record(head, turn)\n",
        "        record = None\n",
    ),
    mutant(
        "task_forgotten",
        "4.22",
        RESPONSE,
        "        call = self._calls.find(request.conversation, request.turn_id)\n",
        "        call = None\n",
    ),
    mutant(
        "tasks_in_activation",
        "4.22",
        RESPONSE,
        "    async def _start(self, request: Respond) -> Call:\n",
        "    async def _on_deactivate_internal(self) -> None:\n"
        "        self._calls._calls.pop(conversation_of(self.id.id), None)\n"
        "        await super()._on_deactivate_internal()\n\n"
        "    async def _start(self, request: Respond) -> Call:\n",
    ),
    mutant(
        "clear_keeps_queue",
        "4.23",
        DRAFT,
        '            self.record(queued.turn, Ending("cancelled", error=cancelled))\n' + _CLEARED,
        "            pass\n        self.head = replace(self.head, start=self.head.seq)\n",
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
        "        self._documents[slots.records(number)] = Records(records=recent[:RECORDS])\n",
        "",
    ),
    mutant(
        "records_apart",
        "4.24",
        CHAT,
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
        "segments_first",
        "4.25",
        SAVED,
        "        head = await self.head(conversation)\n        last = ",
        "        numbers = [slots.segment(n) for n in range(12)]\n"
        "        self._early = await self._read_all(conversation, numbers)\n"
        "        head = await self.head(conversation)\n        last = ",
        "in await self._read_all(conversation, [slots.segment(n) for n in numbers]):\n",
        "in getattr(self, '_early', ()):\n",
    ),
    mutant(
        "owner_volatile",
        "4.26",
        CHAT,
        "    async def _process(self, turn: Turn, wait: float) -> TurnState:\n",
        "    async def _process(self, turn: Turn, wait: float) -> TurnState:\n"
        "        self._owner = turn.user\n",
        "self._memory.mark(head.user, self.conversation)",
        'self._memory.mark(getattr(self, "_owner", ""), self.conversation)',
    ),
    mutant(
        "early_close_overwrites",
        "4.27",
        DRAFT,
        "        if (tail[0].seq - 1) % SEGMENT:\n",
        "        if False:\n",
    ),
    mutant(
        "inherited_context",
        "rule 7",
        CALLS,
        "asyncio.create_task(work, context=Context())",
        "asyncio.create_task(work)",
    ),
    mutant(
        "errors_leak",
        "rule 10",
        TURNS,
        "        except AgentError as error:\n            return Failure(Problem.of(error))\n",
        "",
        "        except Exception as error:\n",
        "        except ZeroDivisionError as error:\n",
    ),
    mutant(
        "absent_is_broken",
        "rule 5",
        SLOTS,
        "        except TimeoutError:\n            raise Unavailable(_SLOW) from None\n"
        "        return documents.read",
        "        except (TimeoutError, Unavailable):\n            data = b''\n"
        "        return documents.read",
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
        "        object.__setattr__(self.head, 'tail', (*self.head.tail, pair))\n",
    ),
    mutant(
        "calls_without_time_out",
        "rule 9",
        TURNS,
        "            async with self.clock.timeout(self._call_time + wait):\n",
        "            if True:\n",
    ),
    mutant(
        "model_waited_for",
        "I10",
        RESPONSE,
        "                async with self.clock.timeout(seconds):\n",
        "                if True:\n",
    ),
    mutant(
        "nobody_told",
        "section 2",
        RESPONSE,
        "            call.awaited = True\n",
        "",
    ),
    mutant(
        "rests_with_queue", "section 2", CHAT, _RESTED, _RESTED.replace("not head.queue and ", "")
    ),
    mutant(
        "rests_with_events",
        "section 2",
        CHAT,
        _RESTED,
        _RESTED.replace("mark >= head.seq and ", ""),
    ),
    mutant(
        "rests_with_text",
        "section 2",
        CHAT,
        _RESTED,
        _RESTED.replace(" and head.low > head.start", ""),
    ),
    mutant(
        "never_rests",
        "section 2",
        CHAT,
        "            await self.ask(lambda: self.unregister_reminder(contracts.SETTLE))\n",
        "            pass\n",
    ),
)

NOT_APPLICABLE = {
    "count_in_response": "4.3: ResponseAgent stores nothing; its count reads ChatAgent's head",
    "deliver_in_turn": "4.8: ResponseAgent has no client of ChatAgent; only the composition does",
    "memory_first": "4.13: memory is the only consumer of the topic so far",
}
"""Mutations of PROTOCOL.md that no change of one place in the code can make, and why."""

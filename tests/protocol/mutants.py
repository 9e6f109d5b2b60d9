"""The mechanisms of the protocol, each switched off by an exact change of one source file.

The row is a point of docs/protocol.md, section 4 ("4.7"), a rule of section 3, or a section.
"""

from tests.protocol.chat_mutants import CHAT_MUTANTS
from tests.protocol.consumer_mutants import CONSUMER_MUTANTS
from tests.protocol.mutant import (
    ACTIVATIONS,
    CACHE,
    CALLS,
    CONTRACTS,
    READER,
    RESPONSE,
    STORE,
    TURNS,
    mutant,
)
from tests.protocol.schedule_mutants import SCHEDULE_MUTANTS

_TURN_ID = "json.dumps([conversation, key, body])"

MUTANTS = (
    *CHAT_MUTANTS,
    *CONSUMER_MUTANTS,
    *SCHEDULE_MUTANTS,
    mutant("id_not_from_key", "4.1", CONTRACTS, f"uuid.uuid5(_TURNS, {_TURN_ID})", "uuid.uuid4()"),
    mutant("id_ignores_body", "4.2", CONTRACTS, _TURN_ID, "json.dumps([conversation, key])"),
    mutant("keep_cache", "4.4", CACHE, "            if not saved:\n", "            if False:\n"),
    mutant(
        "keep_cache_when_cut",
        "rule 2",
        CACHE,
        "            if not saved:\n",
        "            if not saved and not asyncio.current_task().cancelling():\n",
    ),
    mutant(
        "late_reads_trusted",
        "4.28",
        CACHE,
        "        if not self._lives_here:\n",
        "        if False:\n",
    ),
    mutant(
        "late_loads_trusted",
        "rule 2",
        CACHE,
        "        if slot.cached and turn == self._turns:\n",
        "        if slot.cached:\n",
    ),
    mutant(
        "believe_before_save",
        "rule 2",
        CACHE,
        "        self._may_act()\n        saved = False\n",
        "        self._may_act()\n        saved = False\n"
        "        for slot, value in changes.items():\n"
        "            self._cache[slot.key] = value\n",
        "            if not saved:\n",
        "            if False:\n",
    ),
    mutant(
        "one_task",
        "4.6",
        CALLS,
        "by_age[: max(0, len(calls) + 1 - PER_CONVERSATION)]",
        "by_age",
    ),
    mutant(
        "dead_can_save",
        "4.18",
        CACHE,
        "        self._may_act()\n        saved = False\n",
        "        saved = False\n",
    ),
    mutant(
        "dead_can_call",
        "4.18",
        TURNS,
        "        self.require_live()\n        try:\n            # The time",
        "        try:\n            # The time",
    ),
    mutant(
        "dead_can_start",
        "4.18",
        RESPONSE,
        "        self.require_live()\n        return self._calls.start(",
        "        return self._calls.start(",
    ),
    mutant("unclean", "4.18", TURNS, "        self.activations.withdraw(self.ref)\n", ""),
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
        ACTIVATIONS,
        "        if former is not None:\n            former.deactivate()\n",
        "",
    ),
    mutant(
        "no_own_lock",
        "4.19",
        TURNS,
        "        async with self.activations.turn(actor.ref):\n",
        "        if True:\n",
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
        "    async def _start(self, request: ResponseRequest) -> Call:\n",
        "    async def _on_deactivate_internal(self) -> None:\n"
        "        self._calls._calls.pop(ids.conversation_of(self.id.id), None)\n"
        "        await super()._on_deactivate_internal()\n\n"
        "    async def _start(self, request: ResponseRequest) -> Call:\n",
    ),
    mutant(
        "segments_first",
        "4.25",
        READER,
        "        head = await self.head(conversation)\n        last = ",
        "        numbers = [slots.segment(n) for n in range(12)]\n"
        "        early = await self._history(conversation).source.load_all(numbers)\n"
        "        head = await self.head(conversation)\n        last = ",
        "            shown = (*await self.pairs(conversation, head, batch, last), *shown)\n",
        "            there = {pair.seq: pair for each in early for pair in each.pairs}\n"
        "            there |= {pair.seq: pair for pair in head.tail}\n"
        "            shown = tuple(there[n] for n in range(first, last + 1) if n in there)\n"
        "            batch = first\n",
    ),
    mutant(
        "inherited_context",
        "rule 7",
        CALLS,
        "asyncio.create_task(work, context=tracing.task_context())",
        "asyncio.create_task(work)",
    ),
    mutant(
        "errors_leak",
        "rule 10",
        TURNS,
        "        except AgentError as error:\n            if error.status >= 500:\n"
        '                log.warning("call of %s %s: %s", *self.ref, error.detail)\n'
        "                tracing.mark_failed(type(error).__name__)\n"
        "            return Failure(Problem.of(error))\n",
        "",
        "        except Exception as error:\n",
        "        except ZeroDivisionError as error:\n",
    ),
    mutant(
        "absent_is_broken",
        "rule 5",
        STORE,
        "        except TimeoutError:\n            raise Unavailable(_SLOW) from None\n"
        "        return read(data",
        "        except (TimeoutError, Unavailable):\n            data = b''\n"
        "        return read(data",
    ),
    mutant(
        "calls_without_time_out",
        "rule 9",
        TURNS,
        "            async with asking(), self.clock.timeout(self._call_time + wait):\n",
        "            async with asking():\n",
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
        "hand_over_once",
        "section 2",
        CALLS,
        "HAND_OVER = RetryPolicy(pause=0.1, attempts=6)",
        "HAND_OVER = RetryPolicy(pause=0.1, attempts=1)",
    ),
)

NOT_APPLICABLE = {
    "count_in_response": "4.3: ResponseAgent stores nothing; its count reads ChatAgent's head",
    "deliver_in_turn": "4.8: ResponseAgent has no client of ChatAgent; only the composition does",
}
"""Mutations of docs/protocol.md that no change of one place in the code can make, and why."""

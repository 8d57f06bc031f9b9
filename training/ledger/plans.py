"""Trainings: the runs of a model, and what it is about to do."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from training.ledger.core import ABSENT, Core, any_of
from training.ledger.records import PlanRecord, RunRecord

_PLAN = "plan"


class LeaseLostError(Exception):
    """The lease ran out and another decider has it: nothing more may be decided here."""


class Runs(Core):
    """Trainings that were started."""

    def run(self, model: str, run_id: str) -> RunRecord | None:
        """One run."""
        item = self._get(model, f"run#{run_id}")
        return RunRecord.from_item(item) if item else None

    def runs(self, model: str, states: Collection[str] = ()) -> list[RunRecord]:
        """The runs of a model, newest first; all when no states are given."""
        found = [RunRecord.from_item(item) for item in self._query(model, RunRecord.prefix)]
        chosen = (r for r in found if not states or r.state in states)
        return sorted(chosen, key=lambda r: (r.started_at, r.run_id), reverse=True)

    def record_run(self, record: RunRecord) -> bool:
        """Write a new run; race: False when it is there already."""
        return self._put(record, ABSENT)

    def transition_run(
        self, model: str, run_id: str, expected: Sequence[str], state: str, **changes: Any
    ) -> RunRecord | None:
        """Bring a run from one of the expected states into another.

        Race: of two callers one gets the new record, the other None.
        """
        condition, values = any_of("state", expected)
        item = self._update(model, f"run#{run_id}", {**changes, "state": state}, condition, values)
        return RunRecord.from_item(item) if item else None


class Plans(Core):
    """What a model is about to do; one decider at a time has the lease on it."""

    def plan(self, model: str) -> PlanRecord:
        """The plan; an empty one when nothing ever arrived."""
        item = self._get(model, _PLAN)
        return PlanRecord.from_item(item) if item else PlanRecord(model=model)

    def note_arrival(self, model: str, at: float | None = None) -> None:
        """Note that something arrived; race: the latest time stays, nobody's lease is touched."""
        at = self.now() if at is None else at
        condition = "attribute_not_exists(#last_arrival) OR #last_arrival < :at"
        self._update(model, _PLAN, {"last_arrival": at}, condition, {"at": at})

    def plan_wake(self, model: str, at: float) -> None:
        """Note when the next wake message comes; race: the latest written stays."""
        self._update(model, _PLAN, {"wake_at": at})

    def take_lease(self, model: str, owner: str, seconds: float) -> PlanRecord | None:
        """Become the only decider for some time.

        Race: one of many gets the plan; for the others None, after they have left word (``again``) that the
        holder must decide once more. ``owner`` must be different for every call of a function.
        """
        free = "attribute_not_exists(#lease_until) OR #lease_until <= :now OR #lease_owner = :owner"
        while True:
            now = self.now()
            changes = {"lease_until": now + seconds, "lease_owner": owner, "again": False}
            taken = self._update(model, _PLAN, changes, free, {"now": now, "owner": owner})
            if taken is not None:
                return PlanRecord.from_item(taken)
            # Word is left only while somebody is there to find it; else the lease is free by now.
            held = "#lease_until > :now AND #lease_owner <> :owner"
            if self._update(model, _PLAN, {"again": True}, held, {"now": now, "owner": owner}) is not None:
                return None

    def renew_lease(self, model: str, owner: str, seconds: float) -> bool:
        """Keep the lease longer; race: False when another decider has it."""
        changes = {"lease_until": self.now() + seconds}
        return self._update(model, _PLAN, changes, "#lease_owner = :owner", {"owner": owner}) is not None

    def release_lease(self, model: str, owner: str) -> bool:
        """Give the lease back; False when somebody came in the meantime: then it is kept, decide once more.

        Race: who comes before this write is found by it, who comes after it gets the lease.
        """
        gone = {"lease_until": None, "lease_owner": None, "again": None}
        condition, values = "#lease_owner = :owner AND #again = :no", {"owner": owner, "no": False}
        if self._update(model, _PLAN, gone, condition, values) is not None:
            return True
        more = "#lease_owner = :owner AND #again = :yes"
        found = self._update(model, _PLAN, {"again": False}, more, {"owner": owner, "yes": True})
        return found is None  # else the lease ran out, and who has it now decides

    def update_plan(self, model: str, owner: str, **changes: Any) -> PlanRecord:
        """Change the plan as the lease's holder; None removes a field.

        Race: refused when another decider has taken the lease.

        Raises:
            LeaseLostError: Somebody else has it.
        """
        item = self._update(model, _PLAN, changes, "#lease_owner = :owner", {"owner": owner})
        if item is None:
            raise LeaseLostError(f"{model}: the lease of {owner} ran out; another decider goes on")
        return PlanRecord.from_item(item)

    def hold(self, model: str, owner: str, rule: str, reason: str, until: float | None) -> PlanRecord:
        """Note what holds back the next run, as the lease's holder; people are told anew of another rule.

        Raises:
            LeaseLostError: Somebody else has the lease.
        """
        held = self.plan(model).held or {}
        same = held.get("rule") == rule
        since = held["since"] if same else self.now()
        now_held = {"rule": rule, "reason": reason, "since": since, "until": until}
        return self.update_plan(model, owner, held=now_held, **({} if same else {"held_announced": False}))

    def unhold(self, model: str, owner: str) -> PlanRecord:
        """Note that nothing holds back the next run, as the lease's holder.

        Raises:
            LeaseLostError: Somebody else has the lease.
        """
        return self.update_plan(model, owner, held=None, held_announced=None)

    def announce_held(self, model: str) -> bool:
        """Note that people were told of what is held; race: True for one caller only."""
        condition = "attribute_exists(#held) AND #held_announced = :no"
        return self._update(model, _PLAN, {"held_announced": True}, condition, {"no": False}) is not None

    def force(self, model: str, by: str) -> None:
        """Wish for a training now, past what holds it back; race: the latest wish stays."""
        wish = {"forced": {"by": by, "at": self.now()}}
        self._update(model, _PLAN, wish)

    def begin_run(self, owner: str, record: RunRecord) -> bool:
        """Write a new run and make it the current one, as the lease's holder, in one transaction.

        Race: False when the run is there already.

        Raises:
            LeaseLostError: Somebody else has the lease; no run is written, so two are never begun at a time.
        """
        mine, values = "#lease_owner = :owner", {"owner": owner}
        current = self._update_action(record.model, _PLAN, {"current_run": record.run_id}, mine, values)
        failed = self._transact({"Update": current}, {"Put": self._put_action(record, ABSENT)})
        if 0 in failed:
            raise LeaseLostError(f"{record.model}: the lease of {owner} ran out; another decider goes on")
        return not failed

    def unforce(self, model: str, owner: str, wish: dict[str, Any]) -> bool:
        """Take back a wish that was granted; race: False when there is a newer one, or the lease is lost."""
        condition, values = "#lease_owner = :owner AND #forced = :wish", {"owner": owner, "wish": wish}
        return self._update(model, _PLAN, {"forced": None}, condition, values) is not None

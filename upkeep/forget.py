"""Takes a person's rows out of the accepted data, and out of everything that arrives later.

The order makes a crash at any point harmless, and the same command goes on where it stopped:

1. The request is recorded, as digests of the values. From here on the intake leaves such rows out.
2. Checks that began before it are waited for: they do not know of it.
3. Each accepted object with such rows is written again without them, under its new digest. What replaces
   what is noted; then the ledger's records change, by a condition on the old key; then all versions of the
   old object are deleted for good.
4. Rows that were dropped when their files were accepted, and refused files, are gone through as well.
5. The dispatcher is woken: without these rows the data is another version, and a run on it is due.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from models.spec import ModelSpec
from training.contract.forgetting import ForgettingError
from training.ledger.records import CLAIMED, ForgetRecord
from upkeep import engine, lineage
from upkeep.errors import UpkeepError
from upkeep.forget_beside import Beside
from upkeep.forget_objects import AcceptedObjects
from upkeep.forget_report import Looked, Result
from upkeep.forget_rows import Wanted
from upkeep.ledger import OperatorLedger
from upkeep.outputs import ModelOutputs
from upkeep.runs import Clients
from upkeep.starting import wake

ID_DIGITS = 16
_POLL_SECONDS = 2.0
# Longer than the intake function may run, 15 minutes: https://docs.aws.amazon.com/lambda/latest/dg/configuration-timeout.html
_MOST_WAIT_SECONDS = 1000.0


def conditions(where: Sequence[str]) -> dict[str, str]:
    """Columns and values from `column=value` words; a row is meant when all match.

    Raises:
        UpkeepError: A word has no column, or two name one column.
    """
    found: dict[str, str] = {}
    for word in where:
        column, equals, value = word.partition("=")
        if not equals or not column:
            raise UpkeepError(f"--where: found {word!r}, expected COLUMN=VALUE, such as customer_id=4711.")
        if column in found:
            raise UpkeepError(
                f"--where: column {column!r} is named twice. A row is meant when all conditions match, and "
                "no row has two values; run the command once for each."
            )
        found[column] = value
    return found


@dataclass
class Forgetting:
    """One request on one model.

    Attributes:
        context: The stack.
        ledger: Its ledger.
        model: The model.
        spec: As it is deployed.
        values: Column to value; all must match.
        sleep: Waits.
    """

    context: Clients
    ledger: OperatorLedger
    model: ModelOutputs
    spec: ModelSpec
    values: Mapping[str, str]
    sleep: Callable[[float], None] = time.sleep
    _wanted: Wanted = field(init=False)
    _conditions: dict[str, str] = field(init=False)
    _objects: AcceptedObjects = field(init=False)

    def __post_init__(self) -> None:
        engine.require("Forgetting rows")
        wanted = Wanted(self.spec, self.values)
        try:
            request = wanted.request()
        except ForgettingError as error:
            raise UpkeepError(f"--where: {error}.") from error
        self._conditions = dict(request.conditions)
        self._wanted = Wanted(self.spec, self.values, request_id(self.model.name, self._conditions))
        self._objects = AcceptedObjects(self.context, self.ledger, self.model.name, self._wanted)

    @property
    def id(self) -> str:
        """Of the request: the same conditions are the same request."""
        return self._wanted.id

    def look(self) -> Looked:
        """How many rows are meant, and where; changes nothing.

        Raises:
            UpkeepError: No object has such a column.
        """
        matches, rows, columns = self._objects.scan()
        unknown = [column for column in self.values if column not in (*self.spec.columns, *columns)]
        # Once it has begun, the last object with such a column may be gone.
        if unknown and self.id not in [record.id for record in self.ledger.forgets(self.model.name)]:
            known = ", ".join(dict.fromkeys([*self.spec.columns, *sorted(columns)]))
            raise UpkeepError(
                f"--where: no file of model {self.model.name} has a column {', '.join(unknown)}; "
                f"columns: {known}."
            )
        noted = self.ledger.replacements(self.model.name, self.id)
        keys = {match.key for match in matches} | {record.key for record in noted}
        meant = lineage.ancestors(self.ledger, self.model.name, keys)
        return Looked(
            id=self.id,
            model=self.model.name,
            columns=tuple(self.values),
            matches=tuple(matches),
            rows=rows,
            beside=Beside(self.context, self.ledger, self.model.name, self._wanted).look(),
            trained=tuple(lineage.trained_on(self.context, self.ledger, self.model, meant)),
            seed=any(match.is_seed for match in matches) or any(record.kept for record in noted),
            seed_serves=lineage.seed_serves(self.context, self.model),
            resumed=bool(noted),
        )

    def carry_out(self, by: str, *, discard_quarantined: bool = False) -> Result:
        """Do it, or go on with it."""
        record = ForgetRecord(
            model=self.model.name, id=self.id, conditions=self._conditions, by=by, at=self.ledger.now()
        )
        self.ledger.record_forget(record)
        self._await_checks()
        matches, _, _ = self._objects.scan()
        for match in matches:
            self._objects.replace(match)
        self._objects.finish_erasing()
        beside = Beside(self.context, self.ledger, self.model.name, self._wanted)
        found = beside.carry_out(by, discard=discard_quarantined)
        done = self.ledger.replacements(self.model.name, self.id)
        self.ledger.update_forget(
            self.model.name, self.id, rows=sum(one.rows for one in done), objects=len(done)
        )
        if done:
            self._wake()
        keys = lineage.ancestors(self.ledger, self.model.name, [one.key for one in done])
        return Result(
            id=self.id,
            model=self.model.name,
            columns=tuple(self.values),
            replaced=tuple(done),
            beside=found,
            trained=tuple(lineage.trained_on(self.context, self.ledger, self.model, keys)),
            seed=any(one.kept for one in done),
            seed_serves=lineage.seed_serves(self.context, self.model),
        )

    def _await_checks(self) -> None:
        """Wait until every check that began before the request has ended, by its word or by its claim."""
        began = self.ledger.now()
        waiting = [
            one
            for one in self.ledger.objects(self.model.name)
            if one.state == CLAIMED and one.claimed_until > began
        ]
        waited = 0.0
        while waiting:
            if waited > _MOST_WAIT_SECONDS:
                keys = ", ".join(one.key for one in waiting[:3])
                raise UpkeepError(
                    f"The intake has not ended its work on {keys} within {_MOST_WAIT_SECONDS:.0f} s, and "
                    "does not know of this request. It is recorded; run the same command again."
                )
            self.sleep(_POLL_SECONDS)
            waited += _POLL_SECONDS
            now = self.ledger.now()
            found = [self.ledger.at(one.key, one.version_id) for one in waiting]
            waiting = [
                new
                for old, new in zip(waiting, found, strict=True)
                if new is not None
                and new.state == CLAIMED
                and new.claimed_until > now
                and (new.owner, new.claimed_until) == (old.owner, old.claimed_until)
            ]

    def _wake(self) -> None:
        wake(self.context, self.model.name, "arrival")


def request_id(model: str, found: Mapping[str, str]) -> str:
    """The id of a request: of the model and the digests."""
    text = json.dumps([model, dict(found)], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:ID_DIGITS]

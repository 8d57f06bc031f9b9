"""A model's life in virtual time: data comes, runs end or fail, people force, and the policy decides."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from hypothesis import strategies as st

from models.spec import Triggers
from training.dispatch.policy import Hold, Start, View, Wait, decide, under_way
from training.ledger.records import FAILED, RUNNING, SUCCEEDED, RunRecord

WORST_USD = 10.0


@dataclass
class Life:
    """What happened so far; ``starts`` are (time, forced, data version)."""

    triggers: Triggers
    now: float = 1_800_000_000.0
    contents: set[int] = field(default_factory=set)
    accepted: dict[int, float] = field(default_factory=dict)
    runs: list[RunRecord] = field(default_factory=list)
    starts: list[tuple[float, bool, str]] = field(default_factory=list)
    last_arrival: float = 0
    forced: bool = False

    @property
    def wanted(self) -> str | None:
        return "-".join(map(str, sorted(self.contents))) or None

    def view(self) -> View:
        since = max((run.started_at for run in self.runs), default=0)
        waiting = [at for at in self.accepted.values() if at > since]
        return View(
            triggers=self.triggers,
            wanted=self.wanted,
            runs=tuple(self.runs),
            worst_usd=WORST_USD,
            last_arrival=self.last_arrival,
            waiting_since=min(waiting, default=None),
            forced=self.forced,
        )

    def push(self, content: int) -> None:
        self.last_arrival = self.now
        self.contents.add(content)
        self.accepted.setdefault(content, self.now)

    def end(self, succeeded: bool, share: float) -> None:
        """The run that goes on ends, having cost a share of the worst."""
        for i, run in enumerate(self.runs):
            if run.state == RUNNING:
                state = SUCCEEDED if succeeded else FAILED
                self.runs[i] = replace(run, state=state, usd=WORST_USD * share, ended_at=self.now)

    def wake(self):
        """Decide and do as decided."""
        decision = decide(self.view(), self.now)
        assert decide(self.view(), self.now) == decision, "the same view gave two decisions"
        if isinstance(decision, Start):
            assert under_way(self.runs) is None, "two runs at a time"
            number = len(self.runs)
            self.runs.append(
                RunRecord(
                    model="toy",
                    run_id=f"r{number}",
                    data_version=decision.data_version,
                    attempt=decision.attempt,
                    state=RUNNING,
                    trigger=decision.trigger,
                    started_at=self.now,
                    worst_usd=WORST_USD,
                )
            )
            self.starts.append((self.now, self.forced, decision.data_version))
            self.forced = False
        return decision

    def settle(self, wakes: int = 400) -> None:
        """Let runs succeed and time pass until there is nothing left to do."""
        for _ in range(wakes):
            decision = self.wake()
            if isinstance(decision, Start):
                self.now += 60
                self.end(True, 0.5)
            elif isinstance(decision, (Wait, Hold)) and decision.until is not None:
                assert decision.until > self.now, "a wait that is over is no wait"
                self.now = decision.until
            elif under_way(self.runs):
                self.end(True, 0.5)
            else:
                return
        raise AssertionError(f"still busy after {wakes} wakes: {decision}")


triggers = st.builds(
    Triggers,
    quiet_seconds=st.sampled_from([0, 60, 900]),
    cooldown_seconds=st.sampled_from([0, 1, 600, 86_400]),
    max_per_day=st.sampled_from([1, 2, 5, 24]),
    max_usd_per_month=st.sampled_from([10.0, 25.0, 100.0, 1e6]),
)
seconds = st.sampled_from([0, 1, 59, 60, 599, 3_600, 43_199, 86_400, 86_400 * 20]) | st.floats(0, 100_000)
steps = st.one_of(
    st.tuples(st.just("push"), seconds, st.integers(0, 5)),
    st.tuples(st.just("wake"), seconds),
    st.tuples(st.just("end"), seconds, st.booleans(), st.floats(0, 1)),
)
forcing = st.tuples(st.just("force"), seconds)


def live(triggers: Triggers, history: list[tuple]) -> Life:
    """Live through a history, waking after every step."""
    life = Life(triggers)
    for kind, pause, *rest in history:
        life.now += pause
        if kind == "push":
            life.push(*rest)
        elif kind == "end":
            life.end(*rest)
        elif kind == "force":
            life.forced = True
        life.wake()
    return life

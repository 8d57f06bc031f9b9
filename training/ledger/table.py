"""The ledger: what became of every object, which contents are data, what is refused, trained and planned.

One DynamoDB table, one partition per model. The functions and the command line use the same class, each with
its own client. Reads are strongly consistent and complete; wherever two writers may meet, the write carries
a condition, and the method's docstring says after "Race" who wins and what the other one gets.

Objects     claim, give_back, settle, accept, quarantine, known, version, object, objects
Data        data, data_record, record_data, replace_data, data_of
Quarantine  quarantine_entry, quarantine_entries, untold_entries, transition_entry, announce_entry
Deliveries  delivery, deliveries, note_delivery, record_manifest, complete_delivery, announce_late
Runs        run, runs, record_run, transition_run, begin_run
Plans       plan, note_arrival, plan_wake, take_lease, renew_lease, release_lease, update_plan, hold,
            unhold, announce_held, force, unforce
Forgets     forgets, record_forget, update_forget
Holdouts    holdouts, holdout_uses, record_holdout
Rollouts    rollout, claim_rollout, update_rollout, holds_rollout, stop_rollout
Experiments experiment, experiments, current_experiment, begin_experiment, change_experiment,
            set_experiment_weight, leave_experiment_weight, note_experiment, end_experiment
"""

from __future__ import annotations

from training.ledger.experiments import Experiments
from training.ledger.holdouts import Holdouts
from training.ledger.objects import Data, Objects
from training.ledger.people import Deliveries, Forgets, Quarantine
from training.ledger.plans import Plans, Runs
from training.ledger.rollouts import Rollouts


class Ledger(Objects, Data, Quarantine, Deliveries, Runs, Plans, Forgets, Rollouts, Experiments, Holdouts):
    """``Ledger(dynamodb_client, table, now)``; without ``now`` it asks ``training.clock``."""

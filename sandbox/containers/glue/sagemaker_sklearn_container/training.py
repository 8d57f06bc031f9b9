"""What `train` calls: SAGEMAKER_TRAINING_MODULE=sagemaker_sklearn_container.training:main."""

from __future__ import annotations

from sagemaker_training import entry_point, environment


def main() -> None:
    """Fetch the submitted code and run its program with the job's hyperparameters."""
    job = environment.Environment()
    entry_point.run(
        uri=job.module_dir,
        user_entry_point=job.user_entry_point,
        args=job.to_cmd_args(),
        env_vars=job.to_env_vars(),
    )

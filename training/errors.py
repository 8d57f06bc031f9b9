"""Errors whose text is meant for people: it reaches FailureReason, the log and the command line."""


class TrainingError(Exception):
    """Data, spec or settings a model cannot be trained with; the message says what to do."""


class ArtifactError(Exception):
    """A stored model that must not be loaded: damaged, of another format or of another version."""

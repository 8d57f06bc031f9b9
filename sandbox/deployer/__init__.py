"""Runs the unmodified Pulumi program against the sandbox: engine, checkpoint, provider."""

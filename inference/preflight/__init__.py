"""The check of a new version before it gets traffic: does its server start, answer, and how otherwise?

``prepare`` runs in the release Lambda and describes a processing job; ``main`` and what it imports run in
that job, in the image that serves; ``result`` reads, again in the Lambda, what the job left.
"""

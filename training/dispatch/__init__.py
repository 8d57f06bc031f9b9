"""Decides when a model is trained, and on what: waits, holds back, starts one run at a time, tells people."""

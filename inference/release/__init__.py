"""Promotion and rollback: a pure protocol, and the function that carries its decisions out."""

"""Constraint types: writing, verifying, repairing and grading; scoring of replies."""

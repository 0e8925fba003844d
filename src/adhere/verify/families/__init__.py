"""Constraint types, one file for each family; their wording beside them where it is long."""

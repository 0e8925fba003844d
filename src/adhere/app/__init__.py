"""Command line, pipelines and reports."""

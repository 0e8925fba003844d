"""Methods of the arrow `tune`."""

"""Methods of the arrow `select`."""

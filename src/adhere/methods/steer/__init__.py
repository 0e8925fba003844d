"""Methods of the arrow `steer`."""

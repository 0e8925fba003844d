"""Methods of the arrow `reward`."""

"""Reading and writing records, seeds, novelty, decontamination, balance and pairs."""

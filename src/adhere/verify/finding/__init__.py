"""The grammar behind `adhere.verify.find`: reading a plain instruction, and one file of rules per group of types."""

"""What `adhere.verify.sandbox` runs inside and around a box: filter, kernel calls, zygote, harness.

`seccomp`, `kernel`, `harness` and `zygote` also run inside the box, where only the standard library exists: they import
nothing of ours but each other.
"""

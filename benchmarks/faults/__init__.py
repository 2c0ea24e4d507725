"""The fault bench: signals, damage, full disks, two users and hostile input against the command; see `docs/faults.md`."""

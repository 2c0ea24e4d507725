"""Every piece of a recipe for real and tiny, in minutes, on this machine: before a node is paid for."""

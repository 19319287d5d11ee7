"""Threads, memory and tunables; nothing of it is public."""

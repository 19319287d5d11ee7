"""Threads, memory and tunables; nothing here is public."""

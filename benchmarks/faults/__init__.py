"""Behaviour of the step for damaged files, odd values, killed runs and full disks."""

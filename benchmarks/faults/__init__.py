"""Damaged files, odd values, killed runs and full disks: what the step makes of them."""

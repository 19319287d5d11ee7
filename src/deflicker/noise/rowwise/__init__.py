"""Noise of differences one by one: background, clips, and a noise model of rows."""

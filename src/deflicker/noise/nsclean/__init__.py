"""Fourier noise: the method of NSClean (Rauscher 2024, PASP 136, 015001)."""

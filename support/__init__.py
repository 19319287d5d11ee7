"""What tests and benchmarks share: runs in processes, CRDS caches, scenes, light curves."""

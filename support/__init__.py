"""Code shared by tests and benchmarks: runs in processes, CRDS caches, scenes, light curves."""

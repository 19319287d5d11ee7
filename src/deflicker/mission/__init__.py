"""A step at home in the JWST mission: runs, names, CRDS, inputs of the scene, products, progress.

Nothing of it is public: programs use `deflicker.CleanFlickerNoiseStep`.
"""

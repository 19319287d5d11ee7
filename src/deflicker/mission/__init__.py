"""What a step of the JWST mission needs: runs, names, CRDS, inputs of the scene mask, products.

Nothing here is public: programs use `deflicker.CleanFlickerNoiseStep`.
"""

"""A step at home in the JWST mission: names, CRDS, inputs of the scene, products, progress."""

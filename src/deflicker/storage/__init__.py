"""Where the arrays of a run are, and files that are written whole or not at all.

Nothing of it is public.
"""

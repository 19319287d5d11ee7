"""Where the arrays of a run are kept, and files that are written whole or not at all.

Nothing here is public.
"""

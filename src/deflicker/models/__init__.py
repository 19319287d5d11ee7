"""Data models of JWST to and from arrays; files, reference files, tables and HISTORY."""

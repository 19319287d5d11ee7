"""The Wiener cleaner: noise as a record in time whose spectrum is measured."""

"""An exposure as arrays: its differences, its flags, its draft rates."""

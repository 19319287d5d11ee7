"""Choice of parameters from the data: trial fits, and what they remove."""

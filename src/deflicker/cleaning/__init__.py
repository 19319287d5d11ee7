"""The recipe: what is cleaned, with which method, and what guards it."""

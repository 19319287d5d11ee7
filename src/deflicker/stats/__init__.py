"""Statistics: clips, medians of rows, and how far errors let values be believed."""

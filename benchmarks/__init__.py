"""Speed, memory and remaining noise, compared with other packages if they are installed."""

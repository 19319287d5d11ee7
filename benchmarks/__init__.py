"""Speed, memory and remaining noise, beside other cleaners where they are installed."""

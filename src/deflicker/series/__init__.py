"""Background of time series: the template that all integrations share."""

"""An epidemic on a network: people are susceptible, infected or resistant."""

"""Segregation: people move when too few of their neighbours are like them."""

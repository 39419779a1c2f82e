"""Wolves, sheep and grass: births, deaths, energy, and a resource for each cell."""

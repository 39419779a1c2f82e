"""The shipped domains, one package each, with their scenario files beside the code."""

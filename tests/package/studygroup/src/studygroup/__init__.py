"""Students who learn from books and from each other."""

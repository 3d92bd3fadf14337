"""The search engine without I/O: text to postings, query to hits."""

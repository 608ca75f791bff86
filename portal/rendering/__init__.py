"""What a reader sees, made safe: mail HTML, plain text, names, dates, languages and the page templates.

markup -> html is one way: tokens are rewritten first, nh3 has the last word, and nothing is changed after it.
"""

"""Numbers that words show, computed a second way where an expression in numbers.toml would be too long.

A chapter's module, if it has one, is ``twice`` there. It shares nothing with the chapters or l2lib: it
takes data and runs as arguments, and does with them what the words say.
"""

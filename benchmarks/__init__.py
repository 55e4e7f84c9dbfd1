"""Speed and memory beside what others offer: ``make bench``, see docs/speed.md.

Nothing is imported here: the workers of other environments import this package too.
"""

"""Long runs that try to break what ``docs/trust.md`` promises: fuzzing, soaking, mutants.

Not installed; from the checkout ``make fuzz``, ``make soak``, ``make coverage`` and
``make mutation``.
"""

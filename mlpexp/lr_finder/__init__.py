"""The learning-rate finder: a range test, rules that read rates off its curve, and what it leaves on disk."""

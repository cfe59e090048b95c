"""The contract of components, for tests of your own: what mlpexp's own tests ask of each of its components.

As scikit-learn's `check_estimator`.
"""

from mlpexp.testing.component import check

__all__ = ["check"]

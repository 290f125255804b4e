"""How long tests wait. Every limit is multiplied by TEST_PATIENCE: 1, or more for programs with sanitizers and slow machines.

The variable (no RIALTO_ before it: such names are options of the server) is set by cmake/tests.cmake, which multiplies CTest's own limits by the same number.
"""
import os

PATIENCE = float(os.environ.get("TEST_PATIENCE", "1"))


def patient(seconds):
    return seconds * PATIENCE

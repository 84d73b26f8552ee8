"""Files that are broken or hostile, for the tests and tools/faults.py."""

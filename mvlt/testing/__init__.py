"""What the tests and tools/faults.py share: bad files, and runs that are killed and compared."""

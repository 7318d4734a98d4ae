"""The test kit of what looks at endpoints: ``targets`` has real processes to be looked at. Needs pytest."""

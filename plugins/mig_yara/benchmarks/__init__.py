"""What yara is measured by."""

"""What file is measured by, beside the races of builds in the root's benchmarks."""

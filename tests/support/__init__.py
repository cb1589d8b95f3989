"""What several suites use: nothing is imported from one suite into another."""

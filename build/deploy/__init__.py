"""A built or released set brought to run, by digest: `released` reads a release's record, `compose` starts a set."""

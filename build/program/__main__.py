"""`python -m build.program` runs the tasks of the working folder."""

from build.program.start import main

if __name__ == "__main__":
    main()

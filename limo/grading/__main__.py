"""`python -m limo.grading <folder>`: the grading stage as a process."""

from limo.stage import main

if __name__ == "__main__":
    main()

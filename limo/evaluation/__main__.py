"""`python -m limo.evaluation <folder>`: the evaluation stage as a process."""

from limo.stage import main

if __name__ == "__main__":
    main()

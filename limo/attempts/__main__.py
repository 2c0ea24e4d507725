"""`python -m limo.attempts <folder>`: a stage of the sieves as a process."""

from limo.stage import main

if __name__ == "__main__":
    main()

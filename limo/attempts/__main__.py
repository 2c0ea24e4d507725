"""`python -m limo.attempts <folder>`: the attempts stage as a process."""

from limo.stage import main

if __name__ == "__main__":
    main()

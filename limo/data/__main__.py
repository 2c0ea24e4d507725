"""`python -m limo.data <folder>`: the data stage as a process."""

from limo.stage import main

if __name__ == "__main__":
    main()

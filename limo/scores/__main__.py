"""`python -m limo.scores <folder>`: the scores stage as a process."""

from limo.stage import main

if __name__ == "__main__":
    main()

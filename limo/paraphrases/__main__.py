"""`python -m limo.paraphrases <folder>`: the stage as a process."""

from limo.stage import main

if __name__ == "__main__":
    main()

"""The process that starts an engine with a recipe's own weights: `python -m limo.rehearse <folder>`."""

from limo.stage import main

if __name__ == "__main__":
    main()

"""`python -m limo.selection <folder>`: the selection stage as a process."""

from limo.stage import main

if __name__ == "__main__":
    main()

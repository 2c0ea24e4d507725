"""The training process: `python -m limo.training <folder>`, or the same under torchrun."""

from limo.stage import main

if __name__ == "__main__":
    main()

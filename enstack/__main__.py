"""`python -m enstack` is `enstack`."""

from enstack.cli import main

if __name__ == "__main__":
    main()

"""``python -m gancli`` is ``gancli``."""

from gancli.cli import main

if __name__ == "__main__":
    main()

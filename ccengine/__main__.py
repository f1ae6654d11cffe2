"""``python -m ccengine``: the command line."""

from ccengine.cli.main import main

if __name__ == "__main__":
    main()

"""`python -m cnntrain`, the same as `cnntrain`."""

from cnntrain.cli.app import main

if __name__ == "__main__":
    main()

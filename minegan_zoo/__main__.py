"""`python -m minegan_zoo`, which launchers of several processes need."""

from minegan_zoo.cli import main

if __name__ == "__main__":
    main()

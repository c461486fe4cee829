"""`python -m wsisam_server` is the `wsisam` command."""

from wsisam_server.cli import main

if __name__ == "__main__":
    main()

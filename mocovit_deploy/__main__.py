"""python -m mocovit_deploy: the command mocovit-export, for when console scripts are not on the path."""

import sys

from mocovit_deploy.cli.main import export_main

if __name__ == "__main__":
    sys.exit(export_main())

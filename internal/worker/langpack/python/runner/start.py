"""Starts the runner, which Python keeps compiled; a main file never is."""
import sys

import stoa_runner

sys.exit(stoa_runner.main(sys.argv[1]))

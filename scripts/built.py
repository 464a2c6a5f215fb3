"""Builds what the other scripts measure."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
RELEASE = ROOT / "target/release"


def build(quick=False):
    """Builds the server and the load generator; gives the folder of both programs. A quick build is some
    per cent slower than the release, and takes a fraction of the time: it is for ratios."""
    profile = "quick" if quick else "release"
    # A call each: built together they share their dependencies' features, and `cargo run --release` would
    # build them once more.
    for package in ("veche", "load"):
        subprocess.run(["cargo", "build", "--locked", "--profile", profile, "-p", package],
                       check=True, cwd=ROOT, stdout=sys.stderr)
    return ROOT / "target" / profile


if __name__ == "__main__":
    build(quick="--quick" in sys.argv)

"""Builds what the other scripts measure."""

import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
RELEASE = ROOT / "target/release"
# What is measured, on the dependencies that the tests are built with: those are optimised, too.
QUICK = {"opt-level": 3, "codegen-units": 16, "debug": "false", "debug-assertions": "false",
         "overflow-checks": "false"}


def cargo(*arguments):
    """Builds something."""
    subprocess.run(["cargo", "build", "--locked", *arguments], check=True, cwd=ROOT, stdout=sys.stderr)


def build(quick=False):
    """Builds the server and the load generator; gives the folder of both programs. A quick build is some
    per cent slower than the release, and takes a fraction of the time: it is for ratios."""
    packages = ("veche", "load")
    if not quick:
        # A call each: built together they share their dependencies' features, and `cargo run --release`
        # would build them once more.
        for package in packages:
            cargo("--release", "--package", package)
        return RELEASE
    settings = [f"--config=profile.dev.package.{package}.{key}={value}"
                for package in packages for key, value in QUICK.items()]
    # With a test, however small, the dependencies have the features that they have for all tests.
    cargo("--workspace", "--bin=veche", "--bin=load", "--test=poll", *settings)
    # Where cargo puts them, the next build puts others.
    folder = ROOT / "target/quick"
    folder.mkdir(exist_ok=True)
    for package in packages:
        shutil.copy2(ROOT / "target/debug" / package, folder)
    return folder


if __name__ == "__main__":
    build(quick="--quick" in sys.argv)

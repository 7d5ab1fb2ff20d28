"""Helpers of the benchmarks: medians of alternating runs, compared with a target."""

from __future__ import annotations

import statistics
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

FOLDER = Path(__file__).parents[1] / ".bench"


def schemathesis_python() -> Path | None:
    """Return the Python of a virtual environment with Schemathesis, made when it is not there."""
    return install_apart("schemathesis", "schemathesis==4.32.5", "fastapi")


def install_apart(name: str, *packages: str) -> Path | None:
    """Return the Python of a virtual environment with packages, made when it is not there; None if it fails.

    Args:
        name: The name of its folder.
        packages: What to install, as pip names it.
    """
    python = FOLDER / name / "bin" / "python"
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", FOLDER / name], check=True)
        install = [str(python), "-m", "pip", "install", "-q", *packages]
        if subprocess.run(install, capture_output=True).returncode:
            return None
    return python


def alternate(sides: Mapping[str, Callable[[], float]], runs: int) -> dict[str, list[float]]:
    """Return ``runs`` figures of each side, measured in turns, so that a busy moment hits every side."""
    figures: dict[str, list[float]] = {name: [] for name in sides}
    for _ in range(runs):
        for name, measure in sides.items():
            figures[name].append(measure())
    return figures


def print_medians(title: str, figures: Mapping[str, list[float]], unit: str) -> dict[str, float]:
    """Print the median and the range of each side, and return the medians."""
    print(f"\n{title}")
    medians = {name: statistics.median(values) for name, values in figures.items()}
    for name, values in figures.items():
        spread = f"{min(values):.4g} to {max(values):.4g}"
        print(f"  {name:<58} {medians[name]:>10.4g} {unit}   ({spread}, {len(values)} runs)")
    return medians


def judge(what: str, value: float, target: float, *, at_most: bool) -> None:
    """Print a ratio beside its target and whether it is met."""
    met = value <= target if at_most else value >= target
    wanted = f"wanted at {'most' if at_most else 'least'} {target:g}"
    print(f"  {what}: {value:.4g}, {wanted}: {'met' if met else 'MISSED'}")

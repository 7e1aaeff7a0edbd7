"""Draws tables and plots from the figures into docs/performance.md."""


def write_report(results_dir: str) -> str:
    """Writes the tables and plots between the page's markers. Returns the page's path."""
    raise ValueError("--report: not there yet.")

"""What builds the pages: stale chapters, notebook pairs, the Sphinx extension, LaTeX, Colab."""

__all__ = ["chapters", "colab", "pairs"]

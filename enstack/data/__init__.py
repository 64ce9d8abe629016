"""From files to labelled functions: formats, columns, labels, subsets, splits."""

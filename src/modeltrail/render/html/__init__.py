"""
Reports that are one HTML file: text, tables and figures as SVG, with nothing to load or to run.

Pure, like all of `render`: from data to text, and the same data give the same bytes.
"""

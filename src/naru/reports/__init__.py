"""Figures by interval. Formulas are in docs/operating.md, Figures."""

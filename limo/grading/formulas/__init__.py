"""Formulas: read into a tree, evaluated at points, compared as functions, else left to math-verify."""

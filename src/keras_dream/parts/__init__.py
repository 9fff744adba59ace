"""Losses, canvases, optimizers and normalizers: the parts that a recipe chooses.

Each is a frozen value: its parameters, with bounds and help, and its mathematics stand
in one class, and its name in the union at the end of its file registers it.
"""

"""Losses, canvases, optimizers and normalizers: the parts that a recipe chooses.

Each is a frozen value: its parameters, with bounds and help, and its mathematics stand in
one class, and one line of its file's union registers it.
"""

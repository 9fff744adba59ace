"""Batches: many pictures, planned, run and named as one job."""

"""Lasting work: jobs and their items in a journal beside the results."""

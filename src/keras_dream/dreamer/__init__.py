"""Networks on a device, for many dreams."""

"""Readers of weights files: HDF5, safetensors and Caffe."""
